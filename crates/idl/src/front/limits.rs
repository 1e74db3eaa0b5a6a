//! The limits that keep the front end's time and memory in proportion to its input.
//!
//! Each limit is far above the needs of real files. Only input made to exhaust the reader reaches
//! one.

/// Maximum length of a file in bytes. The longest known `.idl` file has 1.2 MB.
pub(crate) const FILE_BYTES_MAX: u64 = 4 << 20;

/// Maximum length of all files of a run together, in bytes. Positions are 32-bit offsets into the
/// concatenated files.
pub(crate) const TOTAL_BYTES_MAX: u64 = 256 << 20;

/// Maximum number of files that one run loads by `import`. A run over a whole SDK needs about a
/// thousand.
pub(crate) const FILES_MAX: usize = 10_000;

/// Maximum distance, in bytes, at which the end of a multi-line string is searched. Known
/// descriptions are much shorter. Each unterminated quote costs a search of this length.
pub(crate) const STRING_BYTES_MAX: usize = 1 << 10;

/// Maximum nesting of `#include`. This also stops a file that includes itself.
pub(crate) const INCLUDE_DEPTH_MAX: usize = 64;

/// Maximum number of inclusions in one file. With a nesting limit alone, two includes per level
/// could add up to 2^64.
pub(crate) const INCLUDES_MAX: usize = 2_000;

/// Maximum nesting of macro calls in the arguments of macro calls. Each level is one level of
/// recursion.
pub(crate) const MACRO_DEPTH_MAX: usize = 64;

/// Maximum number of parameters of a macro. Each word of its body is compared with all of them.
pub(crate) const MACRO_PARAMETERS_MAX: usize = 256;

/// Maximum number of tokens in the parentheses after the name of an undefined macro. These tokens
/// are scanned before they are skipped.
pub(crate) const MACRO_CALL_TOKENS_MAX: usize = 256;

/// Maximum number of tokens that macro expansion adds to one file. A dozen short macros, each of
/// which uses the previous one several times, can expand to billions of tokens.
pub(crate) const EXPANSION_TOKENS_MAX: usize = 1 << 20;

/// Maximum number of tokens of one file after preprocessing, including its included files.
pub(crate) const FILE_TOKENS_MAX: usize = 4 << 20;

/// Maximum number of attributes of one declaration. IDL has about 150, and few of them may be
/// repeated.
pub(crate) const ATTRIBUTES_MAX: usize = 256;

/// Maximum number of tokens between `runtimeclass` and its opening brace.
pub(crate) const CLASS_HEAD_TOKENS_MAX: usize = 256;

/// Maximum number of tokens that the preprocessor reads for one file and for all files of a run. An
/// included file counts each time, because its directives and its skipped groups are read each
/// time.
pub(crate) const UNIT_INPUT_TOKENS_MAX: usize = 1 << 22;
pub(crate) const RUN_INPUT_TOKENS_MAX: usize = 1 << 27;

/// Maximum number of methods and parameters of all interfaces of a run, including inherited ones.
/// Each derived interface repeats the methods of its bases.
pub(crate) const LOWERED_VALUES_MAX: usize = 50_000;

/// Maximum nesting of declarations, types and expressions. Each level takes a few levels of
/// recursion in the parser and in every later walk over the tree.
pub(crate) const NESTING_DEPTH_MAX: usize = 64;

/// Maximum number of operators in one expression. A chain of operators is a tree as deep as the
/// chain is long.
pub(crate) const OPERATORS_MAX: usize = 200;

/// Maximum number of pointers, arrays and parameter lists in one declarator.
pub(crate) const DERIVATIONS_MAX: usize = 32;

/// Maximum length of a chain of typedefs or of base interfaces. Each use of a type follows such a
/// chain.
pub(crate) const CHAIN_MAX: usize = 64;

/// Maximum number of type parameters of an interface. Each type name in the interface is compared
/// with all of them.
pub(crate) const TYPE_PARAMETERS_MAX: usize = 32;

/// Maximum number of parts in the name of a namespace, and maximum length of the name with its
/// dots. A name is looked up in all enclosing namespaces.
pub(crate) const NAMESPACE_PARTS_MAX: usize = 16;
pub(crate) const NAMESPACE_BYTES_MAX: usize = 255;

/// Maximum number of errors kept for one file; further errors are only counted. A file that isn't
/// IDL has an error in every line.
pub(crate) const ERRORS_MAX: usize = 100;

/// Maximum number of warnings kept for one file; further warnings are only counted.
pub(crate) const WARNINGS_MAX: usize = 100;

/// Maximum number of comparisons, in one run, of unknown names with known ones for suggestions.
pub(crate) const COMPARISONS_MAX: usize = 50_000;

/// Maximum length of a source line quoted below a message, in bytes.
pub(crate) const QUOTED_LINE_BYTES_MAX: usize = 4_096;

/// Maximum length of a name or a number quoted in a message, in characters.
pub(crate) const QUOTED_NAME_MAX: usize = 80;

/// Maximum number of files that are read for the modules of a Rust crate, and maximum nesting of
/// these modules.
pub(crate) const MODULES_MAX: usize = 10_000;
pub(crate) const MODULE_DEPTH_MAX: usize = 32;

/// Maximum number of files of a directory that are searched for an `#include` of a given file.
pub(crate) const SEARCHED_FILES_MAX: usize = 2_000;

/// Maximum number of types in one parameter whose COM layout is computed. The tables of a trait hold
/// fewer.
pub(crate) const PARAMETER_TYPES_MAX: u32 = 4096;

/// Maximum number of types and enum values in all parameters of a file whose COM layouts are
/// computed. Reading this many takes a few seconds.
pub(crate) const LAYOUT_TYPES_MAX: u32 = 2_000_000;

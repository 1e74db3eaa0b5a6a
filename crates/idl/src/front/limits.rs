//! Limits that keep the front end's run time and memory use proportional to its input.
//!
//! Each limit is far above the needs of real files. Only maliciously constructed input reaches one.

/// Maximum length of a file in bytes. The longest known `.idl` file has 1.2 MB.
pub(crate) const FILE_BYTES_MAX: u64 = 4 << 20;

/// Maximum total length of all files of a run, in bytes. Positions are 32-bit offsets into the
/// concatenated files.
pub(crate) const TOTAL_BYTES_MAX: u64 = 256 << 20;

/// Maximum number of files that one run loads by `import`. A run over a whole SDK needs about a
/// thousand.
pub(crate) const FILES_MAX: usize = 10_000;

/// Maximum distance in bytes within which the closing quote of a multi-line string is searched.
/// Known strings are much shorter. Each unterminated quote costs one search of this length.
pub(crate) const STRING_BYTES_MAX: usize = 1 << 10;

/// Maximum nesting depth of `#include`. Also ends the recursion for a file that includes itself.
pub(crate) const INCLUDE_DEPTH_MAX: usize = 64;

/// Maximum number of inclusions in one file. Without this limit, two includes at each nesting level
/// could add up to 2^64.
pub(crate) const INCLUDES_MAX: usize = 2_000;

/// Maximum nesting depth of macro calls in the arguments of macro calls. Each level causes one
/// level of recursion.
pub(crate) const MACRO_DEPTH_MAX: usize = 64;

/// Maximum number of parameters of a macro. Each word in the macro's body is compared with all of
/// them.
pub(crate) const MACRO_PARAMETERS_MAX: usize = 256;

/// Maximum number of tokens in the argument list of an undefined macro. These tokens are scanned
/// before they are skipped.
pub(crate) const MACRO_CALL_TOKENS_MAX: usize = 256;

/// Maximum number of tokens that macro expansion adds to one file. A dozen short macros, each of
/// which uses the previous one several times, can expand to billions of tokens.
pub(crate) const EXPANSION_TOKENS_MAX: usize = 1 << 20;

/// Maximum number of tokens in one file after preprocessing, including the files that it includes.
pub(crate) const FILE_TOKENS_MAX: usize = 4 << 20;

/// Maximum number of attributes of one declaration. IDL has about 150 attributes, and few may be
/// repeated.
pub(crate) const ATTRIBUTES_MAX: usize = 256;

/// Maximum number of tokens between `runtimeclass` and its opening brace.
pub(crate) const CLASS_HEAD_TOKENS_MAX: usize = 256;

/// Maximum number of tokens that the preprocessor reads: for one file, and for all files of a run.
/// An included file counts each time it is included, because its directives and skipped groups are
/// read each time.
pub(crate) const UNIT_INPUT_TOKENS_MAX: usize = 1 << 22;
pub(crate) const RUN_INPUT_TOKENS_MAX: usize = 1 << 27;

/// Maximum number of methods and parameters in all interfaces of a run, including inherited ones.
/// Each derived interface repeats the methods of its bases.
pub(crate) const LOWERED_VALUES_MAX: usize = 50_000;

/// Maximum nesting depth of declarations, types and expressions. Each level causes several levels
/// of recursion in the parser and in later passes.
pub(crate) const NESTING_DEPTH_MAX: usize = 64;

/// Maximum number of operators in one expression. A chain of operators results in an equally deep
/// tree.
pub(crate) const OPERATORS_MAX: usize = 200;

/// Maximum number of pointers, arrays and parameter lists in one declarator.
pub(crate) const DERIVATIONS_MAX: usize = 32;

/// Maximum length of a chain of typedefs or of base interfaces. Each use of a type follows the
/// chain.
pub(crate) const CHAIN_MAX: usize = 64;

/// Maximum number of type parameters of an interface. Each type name in the interface is compared
/// with all of them.
pub(crate) const TYPE_PARAMETERS_MAX: usize = 32;

/// Limits on the name of a namespace: number of parts, and length including the dots. The limits
/// exist because each name is looked up in all enclosing namespaces.
pub(crate) const NAMESPACE_PARTS_MAX: usize = 16;
pub(crate) const NAMESPACE_BYTES_MAX: usize = 255;

/// Maximum number of errors kept per file. Further errors are only counted. A file that isn't IDL
/// has an error in every line.
pub(crate) const ERRORS_MAX: usize = 100;

/// Maximum number of warnings kept per file. Further warnings are only counted.
pub(crate) const WARNINGS_MAX: usize = 100;

/// Maximum number of comparisons between unknown and known names in one run, for suggestions.
pub(crate) const COMPARISONS_MAX: usize = 50_000;

/// Maximum length of a source line that is quoted below a message, in bytes.
pub(crate) const QUOTED_LINE_BYTES_MAX: usize = 4_096;

/// Maximum length of a name or number that is quoted in a message, in characters.
pub(crate) const QUOTED_NAME_MAX: usize = 80;

/// Limits on the modules of a Rust crate: number of files, and nesting depth.
pub(crate) const MODULES_MAX: usize = 10_000;
pub(crate) const MODULE_DEPTH_MAX: usize = 32;

/// Maximum number of files in a directory that are searched for an `#include` of a given file.
pub(crate) const SEARCHED_FILES_MAX: usize = 2_000;

/// Maximum number of types in one parameter for which a COM layout is computed. The format strings
/// of a trait can hold fewer types.
pub(crate) const PARAMETER_TYPES_MAX: u32 = 4096;

/// Maximum number of types and enum values in all parameters of a file for which COM layouts are
/// computed. Processing this many takes a few seconds.
pub(crate) const LAYOUT_TYPES_MAX: u32 = 2_000_000;

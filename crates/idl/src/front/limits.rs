//! The bounds that keep the front end's time and memory in proportion to its input.
//!
//! Each bound is far above the needs of real files. Only input made to exhaust the reader reaches one.

/// The longest file that is read, in bytes. The longest known `.idl` file has 1.2 MB.
pub(crate) const FILE_BYTES_MAX: u64 = 4 << 20;

/// All files of one run together, in bytes: positions are 32-bit numbers into their sum.
pub(crate) const TOTAL_BYTES_MAX: u64 = 256 << 20;

/// How many files one run loads by `import`. A run over a whole SDK needs about a thousand.
pub(crate) const FILES_MAX: usize = 10_000;

/// How far behind the end of its line a string is looked for its end, in bytes: the longest known
/// description is a fraction of it, and each quote without an end costs as much.
pub(crate) const STRING_BYTES_MAX: usize = 1 << 10;

/// How deep `#include` nests, which is also what ends a file that includes itself.
pub(crate) const INCLUDE_DEPTH_MAX: usize = 64;

/// How many times one file's `#include` lines bring in a file: depth alone would allow two
/// includes a level to become 2^64.
pub(crate) const INCLUDES_MAX: usize = 2_000;

/// How deep macro calls nest inside the arguments of macro calls; each level is one of recursion.
pub(crate) const MACRO_DEPTH_MAX: usize = 64;

/// How many parameters a macro has; each word of its body is compared with all of them.
pub(crate) const MACRO_PARAMETERS_MAX: usize = 256;

/// How many tokens the parentheses behind a macro's name have where nothing defines it: they are
/// looked through before they are skipped.
pub(crate) const MACRO_CALL_TOKENS_MAX: usize = 256;

/// How many tokens macro expansion may add to one file: a dozen short macros that each use the
/// one before twice are enough for billions.
pub(crate) const EXPANSION_TOKENS_MAX: usize = 1 << 20;

/// How many tokens one file may have after preprocessing, included files among them.
pub(crate) const FILE_TOKENS_MAX: usize = 4 << 20;

/// How many attributes one declaration may have. There are about 150, few of which may be repeated.
pub(crate) const ATTRIBUTES_MAX: usize = 256;

/// How many tokens after `runtimeclass` are searched for its opening brace.
pub(crate) const CLASS_HEAD_TOKENS_MAX: usize = 256;

/// How many tokens the preprocessor reads for one file and for all files of a run. An included file
/// counts each time, because its directives and its skipped groups are read each time.
pub(crate) const UNIT_INPUT_TOKENS_MAX: usize = 1 << 22;
pub(crate) const RUN_INPUT_TOKENS_MAX: usize = 1 << 27;

/// How many methods and parameters the interfaces of a run have together, inherited ones
/// included: each derived interface repeats the methods of its bases.
pub(crate) const LOWERED_VALUES_MAX: usize = 50_000;

/// How deep declarations, types and expressions nest; each level is a few of recursion, in the
/// parser and in everything that later walks the tree.
pub(crate) const NESTING_DEPTH_MAX: usize = 64;

/// How many operators one expression may have: a chain of them is a tree as deep as it is long.
pub(crate) const OPERATORS_MAX: usize = 200;

/// How many pointers, arrays and parameter lists one declarator may pile up.
pub(crate) const DERIVATIONS_MAX: usize = 32;

/// How many steps a chain of typedefs or of base interfaces is followed; each use of a type
/// follows one.
pub(crate) const CHAIN_MAX: usize = 64;

/// How many types an interface leaves open; each name of a type in it is compared with them.
pub(crate) const TYPE_PARAMETERS_MAX: usize = 32;

/// How many parts the name of a namespace has, and how long it is with its dots: a name is looked
/// for in all the namespaces around it.
pub(crate) const NAMESPACE_PARTS_MAX: usize = 16;
pub(crate) const NAMESPACE_BYTES_MAX: usize = 255;

/// How many errors of one file are kept; the rest are counted. A file that isn't IDL at all
/// has an error in every line.
pub(crate) const ERRORS_MAX: usize = 100;

/// How many warnings of one file are kept; the rest are counted.
pub(crate) const WARNINGS_MAX: usize = 100;

/// With how many names the unknown ones of a run are compared, all together, for a suggestion.
pub(crate) const COMPARISONS_MAX: usize = 50_000;

/// The longest line of source that is quoted under a message, in bytes.
pub(crate) const QUOTED_LINE_BYTES_MAX: usize = 4_096;

/// The longest name or number that is quoted in a message, in characters.
pub(crate) const QUOTED_NAME_MAX: usize = 80;

/// How many files of a Rust crate are read for its modules, and how deep these nest.
pub(crate) const MODULES_MAX: usize = 10_000;
pub(crate) const MODULE_DEPTH_MAX: usize = 32;

/// How many files of a directory are searched for one that includes a given file.
pub(crate) const SEARCHED_FILES_MAX: usize = 2_000;

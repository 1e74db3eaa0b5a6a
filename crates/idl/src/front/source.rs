//! The source files of a run, and positions in them.
//!
//! The texts of all files are treated as one concatenated text. A position in it is a `u32`, which
//! also identifies the file.

use std::ops::Range;

/// The index of a file in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct FileId(u32);

impl FileId {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// A range of source text. The end is exclusive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Span {
    start: u32,
    end: u32,
}

impl Span {
    pub(crate) fn new(start: u32, end: u32) -> Self {
        Self { start, end: end.max(start) }
    }

    pub(crate) fn start(self) -> u32 {
        self.start
    }

    /// Returns the span from the start of `self` to the end of `end`. Returns `self` if `end` lies
    /// before it.
    pub(crate) fn to(self, end: Span) -> Span {
        if end.end >= self.start { Span::new(self.start, end.end) } else { self }
    }

    /// Returns the empty span directly after this one.
    pub(crate) fn after(self) -> Span {
        Span::new(self.end, self.end)
    }
}

/// A human-readable source position. Lines and columns are counted from one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The name of the file, as the user specified it or as it was found.
    pub file: String,
    /// The line number.
    pub line: usize,
    /// The column number, in characters; in bytes if the line is very long.
    pub column: usize,
}

/// The text of a file, and its name.
#[derive(Debug)]
pub(crate) struct SourceFile {
    pub(crate) name: String,
    pub(crate) text: String,
    start: u32,
    line_starts: Vec<u32>,
    /// The line markers, if the text is the output of an external preprocessor.
    markers: Vec<LineMarker>,
}

/// A line marker. The lines of the text from `at` on (counted from 0) come from `file`, starting at
/// its line `line`.
#[derive(Debug, Clone)]
pub(crate) struct LineMarker {
    pub(crate) at: usize,
    pub(crate) file: String,
    pub(crate) line: usize,
}

/// A source line to quote below a message, with the range to mark.
pub(crate) struct QuotedLine<'a> {
    pub(crate) text: &'a str,
    pub(crate) location: Location,
    pub(crate) marked: Range<usize>,
}

/// The texts of all files of a run.
#[derive(Debug, Default)]
pub(crate) struct SourceMap {
    files: Vec<SourceFile>,
    end: u32,
}

impl SourceMap {
    /// Adds the text of a file. Returns `None` if the total length exceeds
    /// [`TOTAL_BYTES_MAX`](super::limits::TOTAL_BYTES_MAX).
    pub(crate) fn add(
        &mut self,
        name: String,
        text: String,
        markers: Vec<LineMarker>,
    ) -> Option<FileId> {
        let length = text.len() as u64 + 1;
        if u64::from(self.end) + length > super::limits::TOTAL_BYTES_MAX {
            return None;
        }
        let id = FileId(u32::try_from(self.files.len()).ok()?);
        let line_ends = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let line_starts =
            std::iter::once(0).chain(line_ends.map(|(at, _)| at as u32 + 1)).collect();
        self.files.push(SourceFile { name, text, start: self.end, line_starts, markers });
        self.end += length as u32;
        Some(id)
    }

    pub(crate) fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.index()]
    }

    /// Returns the text of a span.
    pub(crate) fn text(&self, span: Span) -> &str {
        let file = self.file(self.file_of(span));
        let place = |at: u32| floor_char_boundary(&file.text, (at - file.start) as usize);
        &file.text[place(span.start)..place(span.end)]
    }

    /// Returns the file that contains a span.
    pub(crate) fn file_of(&self, span: Span) -> FileId {
        let index = self.files.partition_point(|file| file.start <= span.start).saturating_sub(1);
        FileId(index as u32)
    }

    /// Returns the position of the start of a span.
    pub(crate) fn location(&self, span: Span) -> Location {
        self.quote(span).location
    }

    /// Returns the line in which a span starts, and the part of that line that belongs to the span.
    pub(crate) fn quote(&self, span: Span) -> QuotedLine<'_> {
        let file = self.file(self.file_of(span));
        let offset = ((span.start - file.start) as usize).min(file.text.len());
        let line = file.line_starts.partition_point(|&start| start as usize <= offset) - 1;
        let start = file.line_starts[line] as usize;
        let end = file.line_starts.get(line + 1).map_or(file.text.len(), |&next| next as usize);
        let text = file.text[start..end].trim_end_matches(['\n', '\r']);

        let from = floor_char_boundary(text, offset - start);
        let to = floor_char_boundary(text, (span.end - file.start) as usize - start);
        let is_quotable = text.len() <= super::limits::QUOTED_LINE_BYTES_MAX;
        let column = 1 + if is_quotable { text[..from].chars().count() } else { from };
        let location = match file.markers.iter().rev().find(|marker| marker.at <= line) {
            Some(marker) => {
                Location { file: marker.file.clone(), line: marker.line + line - marker.at, column }
            }
            None => Location { file: file.name.clone(), line: line + 1, column },
        };
        QuotedLine { text, location, marked: from..to.max(from) }
    }

    /// Returns the number of lines of a file.
    pub(crate) fn lines(&self, id: FileId) -> usize {
        let file = self.file(id);
        let ends_open = !file.text.is_empty() && !file.text.ends_with('\n');
        file.line_starts.len() - 1 + usize::from(ends_open)
    }
}

impl SourceFile {
    /// Returns the position of the start of the text in the source map.
    pub(crate) fn start(&self) -> u32 {
        self.start
    }
}

/// Returns the last character boundary at or before `index`.
fn floor_char_boundary(text: &str, index: usize) -> usize {
    let mut index = index.min(text.len());
    while !text.is_char_boundary(index) {
        index -= 1;
    }
    index
}

/// Decodes the bytes of a file: as UTF-16 or UTF-8 if there is a byte order mark, else as UTF-8, or
/// else as Latin-1, which older files use in comments.
pub(crate) fn decode(bytes: Vec<u8>) -> String {
    let utf16 = |read: fn([u8; 2]) -> u16| {
        let units: Vec<u16> =
            bytes[2..].chunks_exact(2).map(|pair| read([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes.get(..2) {
        Some([0xff, 0xfe]) => return utf16(u16::from_le_bytes),
        Some([0xfe, 0xff]) => return utf16(u16::from_be_bytes),
        _ => {}
    }
    match String::from_utf8(bytes) {
        Ok(text) => text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text),
        Err(error) => error.into_bytes().into_iter().map(char::from).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(texts: &[&str]) -> SourceMap {
        let mut map = SourceMap::default();
        for (index, text) in texts.iter().enumerate() {
            map.add(format!("{index}.idl"), (*text).to_owned(), Vec::new()).unwrap();
        }
        map
    }

    #[test]
    fn position_names_its_file_line_and_column() {
        let map = map(&["ab\ncd\n", "é x\r\nlast"]);
        let at = |start| {
            let location = map.location(Span::new(start, start + 1));
            (location.file, location.line, location.column)
        };
        assert_eq!(at(0), ("0.idl".into(), 1, 1));
        assert_eq!(at(4), ("0.idl".into(), 2, 2));
        assert_eq!(at(7 + 3), ("1.idl".into(), 1, 3));
        assert_eq!(at(7 + 6), ("1.idl".into(), 2, 1));
    }

    #[test]
    fn end_of_file_has_a_position() {
        let map = map(&["ab\n", ""]);
        assert_eq!(map.location(Span::new(3, 3)).line, 2);
        assert_eq!(map.location(Span::new(4, 4)).file, "1.idl");
    }

    #[test]
    fn span_over_lines_is_quoted_to_the_end_of_its_first() {
        let map = map(&["abc\r\ndef"]);
        let quoted = map.quote(Span::new(1, 7));
        assert_eq!((quoted.text, quoted.marked), ("abc", 1..3));
    }

    #[test]
    fn markers_rename_lines() {
        let mut map = SourceMap::default();
        let marker = LineMarker { at: 1, file: "origin.idl".into(), line: 41 };
        map.add("output".into(), "\na\nb\n".into(), vec![marker]).unwrap();
        let location = map.location(Span::new(3, 4));
        assert_eq!((location.file.as_str(), location.line), ("origin.idl", 42));
    }

    #[test]
    fn encodings_are_distinguished() {
        assert_eq!(decode(b"\xff\xfeh\0i\0".to_vec()), "hi");
        assert_eq!(decode(b"\xfe\xff\0h\0i".to_vec()), "hi");
        assert_eq!(decode(b"\xef\xbb\xbfhi".to_vec()), "hi");
        assert_eq!(decode("é".as_bytes().to_vec()), "é");
        assert_eq!(decode(b"\xa9 1999".to_vec()), "© 1999");
        assert_eq!(decode(b"\xff\xfeh".to_vec()), "");
    }
}

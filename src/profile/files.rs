//! The files that a profile is made of, and problems at places in them.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::Diagnostic;
use super::tree::{FileNumber, Place};

/// Every file that was read, by number.
#[derive(Debug, Clone, Default)]
pub(super) struct Files {
    files: Vec<File>,
}

#[derive(Debug, Clone)]
struct File {
    shown: String,
    /// `None` for a profile that ships in the binary.
    path: Option<PathBuf>,
    folder: PathBuf,
    text: Arc<str>,
}

impl Files {
    /// Keeps a file and gives its number.
    pub fn add(&mut self, shown: &str, path: Option<&Path>, folder: &Path, text: Arc<str>) -> FileNumber {
        let number = FileNumber::try_from(self.files.len()).unwrap_or(FileNumber::MAX);
        self.files.push(File {
            shown: shown.to_string(),
            path: path.map(Path::to_path_buf),
            folder: folder.to_path_buf(),
            text,
        });
        number
    }

    /// The folder that relative paths in this file start from.
    pub fn folder(&self, file: FileNumber) -> &Path {
        self.files.get(file as usize).map_or(Path::new(""), |file| &file.folder)
    }

    /// The name of this file as the user knows it.
    pub fn shown(&self, file: FileNumber) -> &str {
        self.files.get(file as usize).map_or("", |file| &file.shown)
    }

    /// The paths of all files that were read, in the order of reading.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().filter_map(|file| file.path.clone()).collect()
    }

    /// ``on line 7`` or ``at base.yaml:7`` for a place that is spoken of from `from`.
    pub fn refer(&self, place: Place, from: Place) -> String {
        if place.file == from.file {
            format!("on line {}", place.line)
        } else {
            format!("at {}:{}", self.shown(place.file), place.line)
        }
    }

    /// The problems as diagnostics, sorted by file and place, each once.
    pub fn diagnose(&self, mut problems: Vec<Problem>) -> Vec<Diagnostic> {
        // Lines are looked up by walking each file once, not once per problem.
        problems.sort_by(|a, b| (a.place, &a.message).cmp(&(b.place, &b.message)));
        problems.dedup();
        let mut lines = Lines::default();
        problems.into_iter().map(|problem| self.diagnostic(problem, &mut lines)).collect()
    }

    fn diagnostic<'a>(&'a self, problem: Problem, lines: &mut Lines<'a>) -> Diagnostic {
        let Place { file, line, column, width } = problem.place;
        let text = self.files.get(file as usize).map_or("", |file| &file.text);
        let source = (line > 0 && !problem.secret)
            .then(|| lines.get(file, text, line as usize))
            .flatten()
            .map(str::to_string);
        Diagnostic {
            file: self.shown(file).to_string(),
            line,
            column,
            width,
            source,
            message: problem.message,
            help: Some(problem.help),
        }
    }
}

/// Reads the lines of one file after the other, forwards.
#[derive(Default)]
struct Lines<'a> {
    file: Option<FileNumber>,
    number: usize,
    rest: Option<std::str::Lines<'a>>,
    current: Option<&'a str>,
}

impl<'a> Lines<'a> {
    fn get(&mut self, file: FileNumber, text: &'a str, line: usize) -> Option<&'a str> {
        if self.file != Some(file) || line < self.number {
            *self = Self { file: Some(file), number: 0, rest: Some(text.lines()), current: None };
        }
        while self.number < line {
            self.current = self.rest.as_mut().and_then(Iterator::next);
            self.number += 1;
        }
        self.current
    }
}

/// Something wrong or odd at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    pub place: Place,
    pub message: String,
    pub help: String,
    /// Whether the line must not be shown.
    pub secret: bool,
}

impl Problem {
    pub fn new(place: Place, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { place, message: message.into(), help: help.into(), secret: false }
    }
}

/// `path` as people would write it: without `.`, and without `..` behind a name.
pub(super) fn without_detours(path: &Path) -> PathBuf {
    let mut straight = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir if straight.file_name().is_some() => {
                straight.pop();
            }
            part => straight.push(part),
        }
    }
    straight
}

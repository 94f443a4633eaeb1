//! Text to trees: the only module that knows the YAML crate.

use std::collections::{HashMap, HashSet};

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, options};

use super::tree::{Entry, FileNumber, Node, Place, Scalar, Value, shorten};

/// No profile that a person keeps needs more levels.
const DEPTH: usize = 64;
/// Values in one file: ten times what a thousand tenants take.
const VALUES: usize = 400_000;
/// More duplicate keys than this say nothing new.
const DUPLICATES: usize = 20;
/// Nodes that aliases may add in all: enough for shared lists, too few for a bomb.
const ALIASED: usize = 100_000;

/// Why a text is no tree.
#[derive(Debug)]
pub(super) struct YamlError {
    pub place: Place,
    pub message: String,
    pub help: String,
}

/// The documents of `text`, which is file number `file`. Empty documents are left out.
pub(super) fn parse(text: &str, file: FileNumber) -> Result<Vec<Node>, Vec<YamlError>> {
    let mut builder = Builder { file, ..Builder::default() };
    let options = options! { emit_comments: false, flow_nesting_limit: DEPTH, block_nesting_limit: DEPTH };
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for next in Parser::new_from_str_with_options(text, options) {
        let taken = match next {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err(builder.scan_error(&error)),
        };
        if let Err(error) = taken {
            builder.errors.push(error);
            break;
        }
    }
    if builder.errors.is_empty() { Ok(builder.documents) } else { Err(builder.errors) }
}

/// A collection whose end has not come yet.
struct Open {
    place: Place,
    anchor: usize,
    kind: OpenKind,
}

enum OpenKind {
    List(Vec<Node>),
    Map { entries: Vec<Entry>, seen: HashSet<Box<str>>, key: Option<(Box<str>, Place)> },
}

#[derive(Default)]
struct Builder {
    file: FileNumber,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    aliased: usize,
    values: usize,
    documents: Vec<Node>,
    errors: Vec<YamlError>,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        let place = self.place(&span);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let plain = style == ScalarStyle::Plain;
                let value = if plain && matches!(&*text, "" | "~" | "null" | "Null" | "NULL") {
                    Value::Null
                } else {
                    Value::Scalar(Scalar { text: text.into(), plain })
                };
                self.put(Node { place, value }, anchor)
            }
            Event::SequenceStart(_, anchor, _) => self.start(place, anchor, OpenKind::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                let kind = OpenKind::Map { entries: Vec::new(), seen: HashSet::new(), key: None };
                self.start(place, anchor, kind)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { place, anchor, kind }) => {
                    let value = match kind {
                        OpenKind::List(items) => Value::List(items),
                        OpenKind::Map { entries, .. } => Value::Map(entries),
                    };
                    self.put(Node { place, value }, anchor)
                }
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor) else {
                    return Err(YamlError {
                        place,
                        message: "an alias stands inside the thing that it names".to_string(),
                        help: "write the value out".to_string(),
                    });
                };
                self.aliased += size;
                if self.aliased > ALIASED {
                    return Err(YamlError {
                        place,
                        message: format!("aliases blow this file up to more than {ALIASED} values"),
                        help: "write the values out, or share them through `extends`".to_string(),
                    });
                }
                let mut node = node.clone();
                node.place = place;
                self.put(node, 0)
            }
            _ => Ok(()),
        }
    }

    fn start(&mut self, place: Place, anchor: usize, kind: OpenKind) -> Result<(), YamlError> {
        if self.open.len() >= DEPTH {
            return Err(too_deep(place));
        }
        self.open.push(Open { place, anchor, kind });
        Ok(())
    }

    /// A whole node: a document, an item, a key or the value of one.
    fn put(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        self.values += 1;
        if self.values > VALUES {
            return Err(YamlError {
                place: node.place,
                message: format!("this file holds more than {VALUES} values"),
                help: "split it: bases go under `extends`, tenants under `tenantsFrom`".to_string(),
            });
        }
        if anchor > 0 {
            self.anchors.insert(anchor, (node.clone(), size(&node)));
        }
        match self.open.last_mut().map(|open| &mut open.kind) {
            None => {
                if !matches!(node.value, Value::Null) {
                    self.documents.push(node);
                }
            }
            Some(OpenKind::List(items)) => items.push(node),
            Some(OpenKind::Map { entries, seen, key }) => match key.take() {
                None => *key = Some(as_key(node)?),
                Some((name, key_place)) => {
                    if seen.insert(name.clone()) {
                        entries.push(Entry { key: name, key_place, node });
                        return Ok(());
                    }
                    let first = entries.iter().find(|entry| entry.key == name);
                    let line = first.map_or(0, |entry| entry.key_place.line);
                    let error = YamlError {
                        place: key_place,
                        message: format!("`{}` stands twice in this map", shorten(&name)),
                        help: format!("the first one is on line {line}: keep one of them"),
                    };
                    if self.errors.len() >= DUPLICATES {
                        return Err(error);
                    }
                    self.errors.push(error);
                }
            },
        }
        Ok(())
    }

    fn place(&self, span: &Span) -> Place {
        let width = if span.start.line() == span.end.line() {
            span.end.col().saturating_sub(span.start.col()).max(1)
        } else {
            1
        };
        Place {
            file: self.file,
            line: number(span.start.line()),
            column: number(span.start.col() + 1),
            width: number(width),
        }
    }

    fn scan_error(&self, error: &ScanError) -> YamlError {
        let marker = error.marker();
        let place = Place {
            file: self.file,
            line: number(marker.line().max(1)),
            column: number(marker.col() + 1),
            width: 1,
        };
        let text = error.info().to_lowercase();
        if text.contains("nest") || text.contains("recursion") || text.contains("depth") {
            return too_deep(place);
        }
        let help = if text.contains("tab") {
            "indent with spaces"
        } else {
            "check indentation, quotes and brackets on this line and the one before"
        };
        YamlError { place, message: format!("this is not YAML: {text}"), help: help.to_string() }
    }
}

fn too_deep(place: Place) -> YamlError {
    YamlError {
        place,
        message: format!("nested more than {DEPTH} levels deep"),
        help: "no field of a profile lies that deep: check the indentation above".to_string(),
    }
}

fn as_key(node: Node) -> Result<(Box<str>, Place), YamlError> {
    match node.value {
        Value::Scalar(scalar) if &*scalar.text == "<<" && scalar.plain => Err(YamlError {
            place: node.place,
            message: "merge keys (`<<`) are not part of YAML 1.2".to_string(),
            help: "put what is shared into a file of its own and name that under `extends`".to_string(),
        }),
        Value::Scalar(scalar) => Ok((scalar.text, node.place)),
        _ => Err(YamlError {
            place: node.place,
            message: format!("a key must be a word, this is {}", node.describe()),
            help: "put text with `{`, `[` or `*` at its start in quotes".to_string(),
        }),
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| size(&entry.node)).sum::<usize>(),
        _ => 1,
    }
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Node {
        parse(text, 0).expect("YAML").remove(0)
    }

    #[test]
    fn every_node_knows_its_place() {
        let tree = one("name: lab\nnodeGroups:\n  - {name: gpu, nodes: 3}\n");
        let group = &tree.get("nodeGroups").expect("a list").items()[0];
        let nodes = group.entry("nodes").expect("a field");
        assert_eq!((nodes.key_place.line, nodes.key_place.column, nodes.key_place.width), (3, 17, 5));
        assert_eq!((nodes.node.place.line, nodes.node.place.column), (3, 24));
    }

    #[test]
    fn an_alias_stands_where_it_is_used() {
        let tree = one("a: &x [1]\nb: *x\n");
        assert_eq!(tree.get("b").expect("there").place.line, 2);
        assert_eq!(tree.get("b").expect("there").items().len(), 1);
    }

    #[test]
    fn a_number_keeps_its_digits() {
        assert_eq!(one("version: 1.30").get("version").and_then(Node::text), Some("1.30"));
    }

    #[test]
    fn nothing_and_null_are_the_same() {
        assert!(matches!(one("a:\nb: null\n").get("a").expect("there").value, Value::Null));
        assert_eq!(one("a: 'null'").get("a").and_then(Node::text), Some("null"));
    }

    #[test]
    fn every_duplicate_key_is_found() {
        let errors = parse("a: 1\nb: 2\na: 3\nb: 4\n", 0).expect_err("duplicates");
        assert_eq!(errors.iter().map(|error| error.place.line).collect::<Vec<_>>(), [3, 4]);
    }

    #[test]
    fn a_file_of_too_many_values_is_refused() {
        let errors = parse(&"- x\n".repeat(VALUES + 1), 0).expect_err("too many");
        assert!(errors[0].message.contains("values"), "{}", errors[0].message);
    }

    #[test]
    fn a_bomb_of_aliases_is_refused() {
        let levels = (1..20).map(|level| {
            let inner = vec![format!("*a{}", level - 1); 10].join(", ");
            format!("a{level}: &a{level} [{inner}]\n")
        });
        let first = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_string();
        let text: String = std::iter::once(first).chain(levels).collect();
        let errors = parse(&text, 0).expect_err("a bomb");
        assert!(errors[0].message.contains("aliases"), "{}", errors[0].message);
    }

    #[test]
    fn depth_has_an_end() {
        for text in [
            format!("{}x{}", "[".repeat(100), "]".repeat(100)),
            (0..100).map(|level| " ".repeat(level) + "a:\n").collect(),
        ] {
            let errors = parse(&text, 0).expect_err("too deep");
            assert!(errors[0].message.contains("levels deep"), "{}", errors[0].message);
        }
    }
}

//! Which paths a source file names: `crate::k8s::Object`, `std::env::var`, `kube::Client`.
//! Read from tokens, so comments and strings do not count.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// A path that a file names, whole: imports are resolved, `super` is counted out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Named {
    /// Its segments, from `crate` or the name of an outside crate on.
    pub segments: Vec<String>,
    /// The line it stands on.
    pub line: usize,
}

impl Named {
    /// `crate::k8s::Object`.
    pub fn text(&self) -> String {
        self.segments.join("::")
    }

    /// Whether it is `path` or something inside of it.
    pub fn is_in(&self, path: &str) -> bool {
        let wanted: Vec<&str> = path.split("::").collect();
        self.segments.len() >= wanted.len()
            && self.segments.iter().zip(wanted).all(|(have, want)| have == want)
    }
}

/// Every path of two segments or more that the file of the module `module` (`["k8s", "client"]`)
/// names in `text`.
pub fn paths(module: &[&str], text: &str) -> Result<Vec<Named>, String> {
    let tokens: TokenStream = text.parse().map_err(|error| format!("{error}"))?;
    let module: Vec<String> = module.iter().map(ToString::to_string).collect();
    let mut reader = Reader { imports: BTreeMap::new(), named: Vec::new() };
    // Twice: a name may be used above its import.
    reader.read(&module, tokens.clone());
    reader.named.clear();
    reader.read(&module, tokens);
    Ok(reader.named)
}

struct Reader {
    /// What a name that was imported anywhere in the file stands for.
    imports: BTreeMap<String, Vec<String>>,
    named: Vec<Named>,
}

impl Reader {
    fn read(&mut self, module: &[String], tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        let mut importing = false;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(word) if *word == "use" => importing = true,
                TokenTree::Ident(word) if *word == "mod" => {
                    if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
                        (tokens.get(at + 1), tokens.get(at + 2))
                    {
                        let inner = [module, &[name.to_string()]].concat();
                        self.read(&inner, body.stream());
                        at += 2;
                    }
                }
                TokenTree::Ident(_) => at = self.path(module, &tokens, at, &[], importing),
                // `use {a::b, c::d};` and `use ::{…}`.
                TokenTree::Group(group) if importing && group.delimiter() == Delimiter::Brace => {
                    self.tree(module, group.stream(), &[]);
                }
                TokenTree::Group(group) => self.read(module, group.stream()),
                TokenTree::Punct(mark) if mark.as_char() == ';' => importing = false,
                _ => {}
            }
            at += 1;
        }
    }

    /// Reads the path that begins at `at`, behind `prefix`; returns where it ends.
    fn path(
        &mut self,
        module: &[String],
        tokens: &[TokenTree],
        mut at: usize,
        prefix: &[String],
        importing: bool,
    ) -> usize {
        let line = tokens[at].span().start().line;
        let mut segments = prefix.to_vec();
        segments.push(word(&tokens[at]));
        while is_colons(tokens, at + 1) {
            match tokens.get(at + 3) {
                Some(TokenTree::Ident(name)) => segments.push(name.to_string()),
                Some(TokenTree::Punct(star)) if star.as_char() == '*' => segments.push("*".to_string()),
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                    self.tree(module, group.stream(), &segments);
                    return at + 3;
                }
                _ => break,
            }
            at += 3;
        }
        let whole = self.resolve(module, &segments, importing);
        if importing {
            let renamed = match (tokens.get(at + 1), tokens.get(at + 2)) {
                (Some(TokenTree::Ident(word)), Some(TokenTree::Ident(name))) if *word == "as" => {
                    at += 2;
                    Some(name.to_string())
                }
                _ => None,
            };
            let named_self = whole.last().is_some_and(|last| last == "self");
            let whole = if named_self { whole[..whole.len() - 1].to_vec() } else { whole };
            if let Some(name) = renamed.or_else(|| whole.last().cloned()) {
                self.imports.insert(name, whole.clone());
            }
            self.named.push(Named { segments: whole, line });
        } else if whole.len() > 1 {
            self.named.push(Named { segments: whole, line });
        }
        at
    }

    /// Reads the inside of `prefix::{…}`.
    fn tree(&mut self, module: &[String], tokens: TokenStream, prefix: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Ident(_) => at = self.path(module, &tokens, at, prefix, true),
                TokenTree::Punct(star) if star.as_char() == '*' => {
                    let line = star.span().start().line;
                    let segments = self.resolve(module, &[prefix, &["*".to_string()]].concat(), true);
                    self.named.push(Named { segments, line });
                }
                _ => {}
            }
            at += 1;
        }
    }

    /// The same path from `crate` or an outside crate on.
    fn resolve(&self, module: &[String], segments: &[String], importing: bool) -> Vec<String> {
        let root = ["crate".to_string()];
        match segments[0].as_str() {
            "self" if segments.len() > 1 => [&root, module, &segments[1..]].concat(),
            "super" => {
                let up = segments.iter().take_while(|segment| *segment == "super").count();
                let outer = &module[..module.len().saturating_sub(up)];
                [&root, outer, &segments[up..]].concat()
            }
            first => match self.imports.get(first) {
                // An import of a name that is itself imported: `use std::env; use env::var;`.
                Some(whole) if segments.len() > 1 || !importing => [whole, &segments[1..]].concat(),
                _ => segments.to_vec(),
            },
        }
    }
}

fn word(token: &TokenTree) -> String {
    token.to_string().trim_start_matches("r#").to_string()
}

fn is_colons(tokens: &[TokenTree], at: usize) -> bool {
    let is_colon =
        |token: Option<&TokenTree>| matches!(token, Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
    is_colon(tokens.get(at)) && is_colon(tokens.get(at + 1))
}

#[cfg(test)]
mod tests {
    use super::paths;

    fn texts(module: &[&str], text: &str) -> Vec<String> {
        paths(module, text).expect("it is Rust").iter().map(super::Named::text).collect()
    }

    #[test]
    fn groups_are_taken_apart() {
        assert_eq!(
            texts(&["k8s"], "use crate::{base::{Fault, label::*}, engine::{self, Cx as Context}, os};"),
            [
                "crate::base::Fault",
                "crate::base::label::*",
                "crate::engine",
                "crate::engine::Cx",
                "crate::os"
            ]
        );
    }

    #[test]
    fn comments_strings_and_visibility_do_not_count() {
        let text = r##"
            //! crate::cli is not named here.
            /// Nor [`crate::ui::Printer`].
            pub(crate) fn f() -> &'static str { /* crate::cli */ "crate::cli::main" }
            const RAW: &str = r#"crate::plan::Plan"#;
        "##;
        assert!(
            texts(&["base"], text).iter().all(|path| !path.starts_with("crate")),
            "{:?}",
            texts(&["base"], text)
        );
    }

    #[test]
    fn paths_in_bodies_types_attributes_and_macros_count() {
        let text = "#[derive(serde::Serialize)] struct A(crate::k8s::Object);
            fn f() -> Vec<crate::os::Held> { println!(\"{}\", crate::ui::words()); kube::Client::new::<u8>() }";
        assert_eq!(
            texts(&["base"], text),
            [
                "serde::Serialize",
                "crate::k8s::Object",
                "crate::os::Held",
                "crate::ui::words",
                "kube::Client::new"
            ]
        );
    }

    #[test]
    fn super_is_counted_out() {
        assert_eq!(texts(&["base"], "use super::cli::main;"), ["crate::cli::main"]);
        assert_eq!(texts(&["base", "fault"], "use super::Fault;"), ["crate::base::Fault"]);
        assert_eq!(texts(&["base", "fault"], "mod tests { use super::super::super::ui; }"), ["crate::ui"]);
    }

    #[test]
    fn a_name_stands_for_what_was_imported() {
        let text = "fn f() { env::var(\"A\"); Cmd::new(\"a\"); pause(); }
            use std::{env, process::Command as Cmd}; use std::thread::sleep as pause;";
        let named = texts(&["ui"], text);
        assert!(named.contains(&"std::env::var".to_string()), "{named:?}");
        assert!(named.contains(&"std::process::Command::new".to_string()), "{named:?}");
        assert!(named.contains(&"std::thread::sleep".to_string()), "{named:?}");
    }
}

use super::{Paint, words};
use crate::base::{Fault, ResourceId};

/// What went wrong, as it is told: what was attempted, on what, why it failed, what to type next.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Complaint {
    /// What could not be done: ``cannot apply Service `traefik/traefik` ``.
    pub what: String,
    /// The resource that it happened to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// Why, outermost cause first.
    pub why: Vec<String>,
    /// What to type or change next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Complaint {
    /// A complaint without reasons.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), on: None, why: Vec::new(), next: None }
    }

    /// What a fault says.
    pub fn of(fault: &Fault) -> Self {
        Self {
            what: format!("cannot {}", fault.attempted),
            on: None,
            why: vec![fault.reason.clone()],
            next: fault.hint.clone(),
        }
    }

    /// What the faults of several resources say. One that several have alike, with the same remedy, is told once:
    /// whoever follows it solves all of them.
    pub fn gathered<'a>(faults: impl IntoIterator<Item = (&'a ResourceId, &'a Fault)>) -> Vec<Self> {
        let mut told: Vec<(&Fault, Vec<String>)> = Vec::new();
        for (id, fault) in faults {
            let is_same = |known: &Fault| {
                known == fault
                    || known.hint.is_some() && (&known.reason, &known.hint) == (&fault.reason, &fault.hint)
            };
            match told.iter_mut().find(|(known, _)| is_same(known)) {
                Some((_, ids)) => ids.push(words::resource(id)),
                None => told.push((fault, vec![words::resource(id)])),
            }
        }
        told.into_iter().map(|(fault, ids)| Self { on: Some(words::list(&ids)), ..Self::of(fault) }).collect()
    }

    /// What an error and its sources say, each once: many errors repeat their source.
    pub fn chain(error: &(dyn std::error::Error + 'static)) -> Self {
        let mut complaint = Self::new(error.to_string());
        let mut source = error.source();
        while let Some(inner) = source {
            let text = inner.to_string();
            let told = complaint.why.iter().chain([&complaint.what]).any(|said| said.contains(&text));
            if !told {
                complaint.why.push(text);
            }
            source = inner.source();
        }
        complaint
    }

    /// The same complaint about this resource.
    #[must_use]
    pub fn on(mut self, resource: &ResourceId) -> Self {
        self.on = Some(words::resource(resource));
        self
    }

    /// The same complaint with one reason more.
    #[must_use]
    pub fn because(mut self, why: impl Into<String>) -> Self {
        self.why.push(why.into());
        self
    }

    /// The same complaint with what to type next, unless it already knows better.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next.get_or_insert(next.into());
        self
    }

    /// The lines to show.
    pub fn text(&self, paint: Paint, width: usize) -> String {
        let mut text = format!("{} {}\n", paint.bad("error:"), self.what);
        let mut part = |label: &str, body: &str| {
            for (index, line) in words::wrap(body, width.saturating_sub(8).max(30)).iter().enumerate() {
                let head = if index == 0 { label } else { "" };
                let line = words::tame(line);
                text.push_str(format!("  {}  {line}", paint.strong(&words::pad(head, 4))).trim_end());
                text.push('\n');
            }
        };
        if let Some(on) = &self.on {
            part("on", on);
        }
        for why in &self.why {
            part("why", why);
        }
        if let Some(next) = &self.next {
            part("next", next);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::FaultKind;

    #[test]
    fn a_fault_says_what_on_what_why_and_what_to_type() {
        let fault = Fault::new(FaultKind::Conflict, "apply Service `traefik/traefik`", "`helm` manages it")
            .hint("`berth up lab --force-conflicts` takes the fields over");
        let text = Complaint::of(&fault).on(&ResourceId::new("addon/traefik")).text(Paint::PLAIN, 80);
        assert_eq!(
            text,
            "error: cannot apply Service `traefik/traefik`\n  on    addon traefik\n  why   `helm` manages it\n  \
             next  `berth up lab --force-conflicts` takes the fields over\n"
        );
    }

    #[test]
    fn one_fault_of_several_resources_is_told_once_and_others_each() {
        let ids = ["cluster/kind/lab", "registry/local", "tenants"].map(ResourceId::new);
        let away =
            |attempted: &str| Fault::new(FaultKind::Transient, attempted, "no engine").hint("start it");
        let faults = [
            away("list containers"),
            away("look at containers"),
            Fault::new(FaultKind::Denied, "list", "no"),
        ];
        let told = Complaint::gathered(ids.iter().zip(&faults));
        let on: Vec<Option<&str>> = told.iter().map(|complaint| complaint.on.as_deref()).collect();
        assert_eq!(on, [Some("cluster kind/lab and registry local"), Some("tenants")]);
        assert_eq!(told[0].what, "cannot list containers");
        // Without a remedy it matters what was attempted.
        let plain = ["list pods", "list nodes"].map(|what| Fault::new(FaultKind::Denied, what, "forbidden"));
        assert_eq!(Complaint::gathered(ids.iter().zip(&plain)).len(), 2);
    }

    #[test]
    fn a_chain_does_not_repeat_its_source() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read the profile: no such file")]
        struct Outer(#[source] std::io::Error);
        let complaint = Complaint::chain(&Outer(std::io::Error::other("no such file")));
        assert_eq!(complaint.why, Vec::<String>::new());
        let complaint = Complaint::chain(&Outer(std::io::Error::other("disk on fire")));
        assert_eq!(complaint.why, ["disk on fire"]);
    }

    #[test]
    fn long_reasons_are_wrapped_and_aligned() {
        let complaint = Complaint::new("cannot ask").because("one two three four five six seven eight nine");
        assert_eq!(
            complaint.text(Paint::PLAIN, 40),
            "error: cannot ask\n  why   one two three four five six\n        seven eight nine\n"
        );
    }
}

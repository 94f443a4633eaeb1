use roxmltree::{Document, Node};

/// An element of an XML answer, without namespaces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element {
    name: String,
    text: String,
    children: Vec<Element>,
}

impl Element {
    /// The root of `text`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document = Document::parse(text).map_err(|error| error.to_string())?;
        Ok(Self::read(document.root_element()))
    }

    fn read(node: Node) -> Self {
        Self {
            name: node.tag_name().name().to_string(),
            text: node.text().unwrap_or_default().trim().to_string(),
            children: node.children().filter(Node::is_element).map(Self::read).collect(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The element at `path` below it, where a `/` stands between names; of several the first.
    pub fn at(&self, path: &str) -> Option<&Element> {
        path.split('/').try_fold(self, |at, name| at.children.iter().find(|child| child.name == name))
    }

    /// The text of the element at `path`, unless it is empty.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.at(path).map(|element| element.text.as_str()).filter(|text| !text.is_empty())
    }

    /// Its own text.
    pub fn value(&self) -> &str {
        &self.text
    }

    /// The members of the list at `path`: `item` in answers of EC2, `member` in those of the others.
    pub fn list(&self, path: &str) -> impl Iterator<Item = &Element> {
        let members = self.at(path).map_or(&[][..], |list| &list.children);
        members.iter().filter(|child| matches!(child.name.as_str(), "item" | "member"))
    }

    /// The value of the tag `key` in the list of tags at `path`.
    pub fn tag(&self, path: &str, key: &str) -> Option<&str> {
        let found = self.list(path).find(|tag| tag.text("key").or(tag.text("Key")) == Some(key))?;
        Some(found.text("value").or(found.text("Value")).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUBNETS: &str = "<?xml version=\"1.0\"?>
<DescribeSubnetsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">
  <requestId>7a62c49f</requestId>
  <subnetSet>
    <item><subnetId>subnet-1</subnetId><tagSet><item><key>berth.dev/owner</key><value>x&amp;y</value></item></tagSet></item>
    <item><subnetId>subnet-2</subnetId><tagSet/></item>
  </subnetSet>
  <nextToken/>
</DescribeSubnetsResponse>";

    #[test]
    fn lists_texts_and_tags_are_read_by_path() {
        let answer = Element::parse(SUBNETS).expect("valid");
        let ids: Vec<_> = answer.list("subnetSet").filter_map(|one| one.text("subnetId")).collect();
        assert_eq!(ids, ["subnet-1", "subnet-2"]);
        let first = answer.at("subnetSet/item").expect("there");
        assert_eq!(first.tag("tagSet", "berth.dev/owner"), Some("x&y"));
        assert_eq!(first.tag("tagSet", "berth.dev/environment"), None);
        assert_eq!(answer.text("nextToken"), None);
        assert_eq!(answer.list("nothing/here").count(), 0);
    }

    #[test]
    fn what_is_no_xml_is_said_to_be_none() {
        assert!(Element::parse("<html><p>busy").is_err());
    }
}

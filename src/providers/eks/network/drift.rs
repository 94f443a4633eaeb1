use std::collections::BTreeMap;

use serde_json::Value;

use crate::base::{Change, ChangeKind, Conflict, Fault};
use crate::clouds::aws::{Aws, Element, Params, Service};
use crate::flow::Flow;
use crate::providers::eks::stack::title;
use crate::providers::eks::template::{Renewed, Template, first};

/// By these tags `CloudFormation` says whose a thing is and what the template calls it.
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-properties-resource-tags.html>
const STACK: &str = "tag:aws:cloudformation:stack-name";
const LOGICAL_ID: &str = "aws:cloudformation:logical-id";
/// Where everything is that is not nearer.
const ANYWHERE: &str = "0.0.0.0/0";
const ROUTE: &str = "AWS::EC2::Route";
const TABLE: &str = "AWS::EC2::RouteTable";
const ASSOCIATION: &str = "AWS::EC2::SubnetRouteTableAssociation";
const NAT_GATEWAY: &str = "AWS::EC2::NatGateway";

/// What of the routes of a network is gone though its stack still has it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Drift {
    /// What can be made anew, by its logical id, with how it shows.
    gone: BTreeMap<String, String>,
    /// What cannot, as conflicts.
    conflicts: Vec<Change>,
    /// A gateway whose address is not free before its end.
    going: Option<String>,
}

/// A route table as it is.
#[derive(Debug, Clone, Default)]
struct Table {
    id: String,
    /// The way out: where it leads, and whether that is gone.
    way_out: Option<(String, bool)>,
    /// The subnets that go by it, each with the id of that association.
    subnets: BTreeMap<String, String>,
}

/// What a stack says of its network.
pub(super) struct Told<'a> {
    /// What the stack is called.
    pub stack: String,
    /// Where it is.
    pub region: &'a str,
    /// The id of the network.
    pub vpc: &'a str,
    /// The template by which it stands.
    pub template: &'a Template,
    /// Its outputs, which tell the ids of subnets.
    pub outputs: &'a BTreeMap<String, String>,
    /// Whether it was changed so lately that EC2 may not show all of it yet: then only what it shows counts.
    pub is_fresh: bool,
}

impl Drift {
    /// Asks for the routes of the network. One call; one more when a gateway is gone.
    pub async fn ask(told: &Told<'_>, aws: &Aws, flow: &Flow) -> Result<Self, Fault> {
        let ec2 = aws.query(Service::Ec2);
        let params = Params::new().filter("vpc-id", [told.vpc]);
        let answer = ec2.call(flow, "DescribeRouteTables", &params).await;
        let answer =
            answer.map_err(|refusal| refusal.fault(format!("look at the routes of {}", told.vpc)))?;
        let tables: BTreeMap<String, Table> = answer.list("routeTableSet").filter_map(Table::of).collect();
        let mut drift = judge(told, &tables);
        let gateways = drift.gateways(told.template);
        if gateways.is_empty() {
            return Ok(drift);
        }
        let params = Params::new().filter(STACK, [told.stack.as_str()]);
        let answer = ec2.call(flow, "DescribeAddresses", &params).await;
        let answer = answer.map_err(|refusal| refusal.fault("look at the elastic IP addresses"))?;
        for (gateway, address) in gateways {
            let is_it = |one: &&Element| one.tag("tagSet", LOGICAL_ID) == Some(address.as_str());
            match answer.list("addressesSet").find(is_it) {
                None => {
                    drift.gone.insert(address, "it was released".to_string());
                }
                Some(one) if one.text("associationId").is_some() => drift.going = Some(gateway),
                Some(_) => {}
            }
        }
        Ok(drift)
    }

    /// The NAT gateways that are gone, each with its address.
    fn gateways(&self, template: &Template) -> Vec<(String, String)> {
        let resources = template.resources().iter();
        let gone = resources.filter(|(id, one)| one["Type"] == NAT_GATEWAY && self.gone.contains_key(*id));
        gone.filter_map(|(id, one)| {
            Some((id.clone(), one["Properties"]["AllocationId"]["Fn::GetAtt"][0].as_str()?.to_string()))
        })
        .collect()
    }

    /// Whether nothing is gone.
    pub fn is_empty(&self) -> bool {
        self.gone.is_empty() && self.conflicts.is_empty()
    }

    /// What cannot be made anew, each with what to do.
    pub fn conflicts(&self) -> &[Change] {
        &self.conflicts
    }

    /// What is waited for before anything can be made anew.
    pub fn waits_for(&self) -> Option<String> {
        self.going.as_ref().map(|gateway| format!("NAT gateway `{gateway}` is being deleted"))
    }

    /// `renewed`, with what is gone made anew.
    pub fn renew(&self, mut renewed: Renewed) -> Renewed {
        self.gone.keys().for_each(|id| renewed.renew(id));
        renewed
    }

    /// The `changes` of an update that makes anew what is gone, in the words of what happened.
    pub fn told(&self, changes: Vec<Change>, template: &Template, renewed: &Renewed) -> Vec<Change> {
        let kind = |id: &str| template.resources().get(id).and_then(|one| one["Type"].as_str());
        let titled = |id: &str, called: &str| title(kind(id).unwrap_or("resource"), called);
        let mut told = Vec::new();
        for mut change in changes {
            if self
                .gone
                .keys()
                .any(|id| change.kind == ChangeKind::Delete && change.subject == titled(id, id))
            {
                // It is gone already.
                continue;
            }
            let anew = |(id, _): &(&String, &String)| change.subject == titled(id, &renewed.id(first(id)));
            if let Some((id, how)) = self.gone.iter().find(anew) {
                change.reason = Some(format!("in the place of `{id}`, which is gone: {how}"));
            } else if change.kind == ChangeKind::Update && change.fields.is_empty() {
                // It only comes behind another one now.
                continue;
            }
            told.push(change);
        }
        told
    }
}

impl Table {
    /// A table of EC2's answer, with what the template calls it.
    fn of(element: &Element) -> Option<(String, Self)> {
        let logical = element.tag("tagSet", LOGICAL_ID)?.to_string();
        let is_way_out = |route: &&Element| route.text("destinationCidrBlock") == Some(ANYWHERE);
        let way_out = element.list("routeSet").find(is_way_out).map(|route| {
            let to = route.text("natGatewayId").or(route.text("gatewayId")).unwrap_or_default();
            (to.to_string(), route.text("state") == Some("blackhole"))
        });
        let association = |one: &Element| {
            let id = one.text("routeTableAssociationId").unwrap_or_default();
            Some((one.text("subnetId")?.to_string(), id.to_string()))
        };
        let subnets = element.list("associationSet").filter_map(association).collect();
        let id = element.text("routeTableId").unwrap_or_default().to_string();
        Some((logical, Self { id, way_out, subnets }))
    }
}

/// What of the routes and associations of the template is not in the `tables`. Pure.
fn judge(told: &Told<'_>, tables: &BTreeMap<String, Table>) -> Drift {
    let (mut gone, mut conflicts) = (BTreeMap::new(), Vec::new());
    let mut conflict = |subject: String, why: String, remedy: String| {
        conflicts.push(Conflict::new(why, remedy).of(subject));
    };
    let (template, is_fresh) = (told.template.resources(), told.is_fresh);
    for (id, resource) in template {
        let (kind, properties) = (resource["Type"].as_str().unwrap_or_default(), &resource["Properties"]);
        if kind == TABLE && !tables.contains_key(id) && !is_fresh {
            conflict(
                title(kind, id),
                "it was deleted, and the subnets that went by it have no way out".to_string(),
                "`berth down` and `berth up` make the network anew".to_string(),
            );
        }
        let Some(table) = referred(&properties["RouteTableId"]).and_then(|table| tables.get(table)) else {
            continue;
        };
        if kind == ASSOCIATION && !is_fresh {
            let subnet = referred(&properties["SubnetId"]).and_then(|subnet| told.outputs.get(subnet));
            let Some(subnet) = subnet.filter(|subnet| !table.subnets.contains_key(*subnet)) else { continue };
            let elsewhere = tables.values().find_map(|other| Some((other, other.subnets.get(subnet)?)));
            match elsewhere {
                Some((other, association)) => conflict(
                    title(kind, id),
                    format!("{subnet} goes by {} instead of {}", other.id, table.id),
                    format!(
                        "put it back with `aws ec2 replace-route-table-association --region {} --association-id \
                         {association} --route-table-id {}`",
                        told.region, table.id
                    ),
                ),
                None => {
                    gone.insert(id.clone(), format!("{subnet} goes by no table of its own"));
                }
            }
        } else if kind == ROUTE {
            match &table.way_out {
                None if is_fresh => {}
                None => {
                    gone.insert(id.clone(), format!("{} leads nowhere", table.id));
                }
                Some((to, true)) => match referred(&properties["NatGatewayId"]) {
                    Some(gateway) => {
                        let how = format!("{} leads to {to}, a black hole", table.id);
                        gone.insert(gateway.to_string(), how);
                    }
                    None => conflict(
                        title(kind, id),
                        format!("{} leads to {to}, which is not attached any more", table.id),
                        format!(
                            "attach it with `aws ec2 attach-internet-gateway --region {} --internet-gateway-id {to} \
                             --vpc-id {}`",
                            told.region, told.vpc
                        ),
                    ),
                },
                Some((_, false)) => {}
            }
        }
    }
    Drift { gone, conflicts, going: None }
}

/// The logical id that `value` refers to.
fn referred(value: &Value) -> Option<&str> {
    value["Ref"].as_str()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn template() -> Template {
        let text = json!({"Resources": {
            "Private": {"Type": TABLE, "Properties": {}},
            "Way": {"Type": ROUTE, "Properties": {"RouteTableId": {"Ref": "Private"}, "NatGatewayId": {"Ref": "Nat"}}},
            "Nat": {"Type": NAT_GATEWAY, "Properties": {"AllocationId": {"Fn::GetAtt": ["Address", "AllocationId"]}}},
            "Association": {"Type": ASSOCIATION,
                            "Properties": {"RouteTableId": {"Ref": "Private"}, "SubnetId": {"Ref": "Subnet"}}},
        }});
        Template::parse(&text.to_string()).expect("a template")
    }

    fn drift(tables: &[(&str, Table)], is_fresh: bool) -> (Vec<String>, Vec<String>) {
        let template = template();
        let outputs = BTreeMap::from([("Subnet".to_string(), "subnet-1".to_string())]);
        let (stack, template) = ("berth-dev".to_string(), &template);
        let told =
            Told { stack, region: "eu-central-1", vpc: "vpc-1", template, outputs: &outputs, is_fresh };
        let tables = tables.iter().map(|(id, table)| ((*id).to_string(), table.clone())).collect();
        let found = judge(&told, &tables);
        let reasons = found.conflicts.iter().filter_map(Change::told).collect();
        (found.gone.into_keys().collect(), reasons)
    }

    fn table(way_out: Option<bool>, subnets: &[&str]) -> Table {
        Table {
            id: "rtb-1".to_string(),
            way_out: way_out.map(|is_gone| ("nat-1".to_string(), is_gone)),
            subnets: subnets.iter().map(|id| ((*id).to_string(), "rtbassoc-1".to_string())).collect(),
        }
    }

    #[test]
    fn what_is_gone_is_found_by_the_routes_that_miss_it() {
        let found = |way_out, subnets: &[&str]| drift(&[("Private", table(way_out, subnets))], false);
        assert_eq!(found(Some(false), &["subnet-1"]), (vec![], vec![]));
        assert_eq!(found(Some(true), &["subnet-1"]), (vec!["Nat".to_string()], vec![]));
        assert_eq!(found(None, &["subnet-1"]), (vec!["Way".to_string()], vec![]));
        assert_eq!(found(Some(false), &[]), (vec!["Association".to_string()], vec![]));
        assert_eq!(drift(&[], false).1.len(), 1, "a table cannot be made anew");
        let elsewhere = [("Private", table(Some(false), &[])), ("Other", table(None, &["subnet-1"]))];
        let (gone, conflicts) = drift(&elsewhere, false);
        assert!(gone.is_empty(), "a subnet that goes by another table is left to whoever did that");
        let back = "`aws ec2 replace-route-table-association --region eu-central-1 --association-id rtbassoc-1 \
                    --route-table-id rtb-1`";
        assert!(conflicts[0].ends_with(back), "{conflicts:?}");
        // Reads lag: what is not shown yet is not gone.
        assert_eq!(drift(&[], true), (vec![], vec![]));
        assert_eq!(drift(&[("Private", table(None, &[]))], true), (vec![], vec![]));
        assert_eq!(drift(&[("Private", table(Some(true), &[]))], true), (vec!["Nat".to_string()], vec![]));
    }
}

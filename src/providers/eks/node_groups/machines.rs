use std::collections::{BTreeMap, BTreeSet};

use tokio::sync::OnceCell;

use crate::base::{Fault, FaultKind};
use crate::clouds::aws::{Aws, Element, Params, Service};
use crate::flow::Flow;
use crate::profile::{NodeGroup, nearest};

/// A machine type as EC2 describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Machine {
    pub name: String,
    /// `amd64` or `arm64`.
    pub architecture: String,
    pub vcpus: u32,
    /// NVIDIA GPUs.
    pub gpus: u32,
    /// Whether it has accelerators of AWS.
    pub has_neuron: bool,
    /// Who else made its GPUs.
    pub other_gpus: Option<String>,
}

/// The machine types of an environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Machines {
    known: BTreeMap<String, Machine>,
    /// Where each is to be had, by full names of zones.
    zones: BTreeMap<String, BTreeSet<String>>,
}

/// The machine types of an environment, asked for once in a run and only where something is to be made of them.
#[derive(Default)]
pub(super) struct Catalogue {
    names: BTreeSet<String>,
    asked: OnceCell<Machines>,
}

impl Catalogue {
    pub fn of(groups: &[NodeGroup]) -> Self {
        let names =
            groups.iter().flat_map(|group| std::iter::once(&group.machine).chain(&group.other_machines));
        Self { names: names.cloned().collect(), asked: OnceCell::new() }
    }

    /// What is known of all of them, once each of these `names` is.
    pub async fn machines(&self, names: &[String], aws: &Aws, flow: &Flow) -> Result<&Machines, Fault> {
        let machines = self.asked.get_or_try_init(|| self.ask(aws, flow)).await?;
        let missing: Vec<&String> = names.iter().filter(|name| !machines.known.contains_key(*name)).collect();
        if missing.is_empty() { Ok(machines) } else { Err(unknown(&missing, aws, flow).await) }
    }

    async fn ask(&self, aws: &Aws, flow: &Flow) -> Result<Machines, Fault> {
        let attempted = format!("ask for the machine types of {}", aws.region());
        let ec2 = aws.query(Service::Ec2);
        // Named in any other way than by a filter, one that is not known is a refusal of all.
        let params = Params::new().filter("instance-type", self.names.iter().cloned());
        let offered = Params::new()
            .with("LocationType", "availability-zone")
            .filter("instance-type", self.names.iter().cloned());
        let (described, offers) = futures::join!(
            ec2.all(flow, "DescribeInstanceTypes", &params, "instanceTypeSet"),
            ec2.all(flow, "DescribeInstanceTypeOfferings", &offered, "instanceTypeOfferingSet"),
        );
        let described = described.map_err(|refusal| refusal.fault(&attempted))?;
        let mut machines = Machines::default();
        for machine in described.iter().filter_map(Machine::of) {
            machines.known.insert(machine.name.clone(), machine);
        }
        for offer in offers.map_err(|refusal| refusal.fault(attempted))? {
            if let (Some(name), Some(zone)) = (offer.text("instanceType"), offer.text("location")) {
                machines.zones.entry(name.to_string()).or_default().insert(zone.to_string());
            }
        }
        Ok(machines)
    }
}

/// That these types are not known, with those that may have been meant.
async fn unknown(missing: &[&String], aws: &Aws, flow: &Flow) -> Fault {
    let params = Params::new().with("LocationType", "region");
    let ec2 = aws.query(Service::Ec2);
    let all = ec2.all(flow, "DescribeInstanceTypeOfferings", &params, "instanceTypeOfferingSet").await;
    let all = all.unwrap_or_default();
    let there: BTreeSet<&str> = all.iter().filter_map(|offer| offer.text("instanceType")).collect();
    let region = aws.region();
    let shown = missing.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let reason = format!("{region} has no machine type {shown}");
    let near: BTreeSet<&str> = missing.iter().flat_map(|name| nearest_types(name, &there)).collect();
    let fault = Fault::new(FaultKind::Invalid, format!("look at the machine types of {region}"), reason);
    if near.is_empty() {
        return fault.hint(format!(
            "`aws ec2 describe-instance-type-offerings --region {region}` lists those that there are"
        ));
    }
    let near: Vec<String> = near.into_iter().map(|name| format!("`{name}`")).collect();
    fault.hint(format!("did you mean {}?", near.join(" or ")))
}

/// The type that is written most alike, or else others of its family. One of another family and another size was not
/// meant, however it is written.
fn nearest_types<'a>(name: &str, there: &BTreeSet<&'a str>) -> Vec<&'a str> {
    let is_akin = |near: &&str| match (near.split_once('.'), name.split_once('.')) {
        (Some((family, size)), Some((named, named_size))) => family == named || size == named_size,
        _ => true,
    };
    let near: Vec<&str> = nearest(name, there.iter().copied()).into_iter().filter(is_akin).collect();
    let family = name.split_once('.').map(|(family, _)| format!("{family}."));
    match family {
        Some(family) if near.is_empty() => {
            there.iter().copied().filter(|known| known.starts_with(&family)).take(3).collect()
        }
        _ => near,
    }
}

impl Machine {
    /// Source: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_InstanceTypeInfo.html>.
    fn of(described: &Element) -> Option<Self> {
        let mut architectures =
            described.list("processorInfo/supportedArchitectures").map(|item| item.value().to_string());
        let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or_default();
        let mut machine = Self {
            name: described.text("instanceType")?.to_string(),
            architecture: if architectures.any(|name| name.starts_with("arm64")) { "arm64" } else { "amd64" }
                .to_string(),
            vcpus: number(described.text("vCpuInfo/defaultVCpus")),
            gpus: 0,
            has_neuron: described.list("neuronInfo/neuronDevices").next().is_some(),
            other_gpus: None,
        };
        for gpu in described.list("gpuInfo/gpus") {
            match gpu.text("manufacturer") {
                Some("NVIDIA") => machine.gpus += number(gpu.text("count")),
                Some(other) => machine.other_gpus = Some(other.to_string()),
                None => {}
            }
        }
        Some(machine)
    }
}

impl Machines {
    /// Whether all of these types are to be had in `zone`; so is what was not asked for.
    pub fn are_offered(&self, names: &[String], zone: &str) -> bool {
        names.iter().all(|name| self.zones.get(name).is_none_or(|zones| zones.contains(zone)))
    }

    /// Cores of the first of these types.
    pub fn vcpus(&self, names: &[String]) -> u32 {
        names.iter().find_map(|name| self.known.get(name)).map_or(0, |machine| machine.vcpus)
    }

    /// The kind of image for machines of `group`, or why there is none.
    /// Source: <https://docs.aws.amazon.com/eks/latest/APIReference/API_CreateNodegroup.html>, `amiType`.
    pub fn ami_type(&self, group: &NodeGroup, names: &[String]) -> Result<&'static str, Fault> {
        const SECOND: &str = "make a second node group";
        let refused = |why: String, hint: &str| Err(cannot_make(group, why).hint(hint));
        let machines: Vec<&Machine> = names.iter().filter_map(|name| self.known.get(name)).collect();
        let Some(first) = machines.first() else {
            return Err(cannot_make(group, format!("nothing is known of {}", names.join(", "))));
        };
        for other in &machines[1..] {
            if other.architecture != first.architecture {
                let why = format!(
                    "`{}` is {} and `{}` is {}, and one image has to fit all machines of a group",
                    first.name, first.architecture, other.name, other.architecture
                );
                return refused(why, SECOND);
            }
            if other.gpus != first.gpus || other.has_neuron != first.has_neuron {
                let why = format!(
                    "`{}` has {} GPUs and `{}` has {}, and pods have to fit every machine of a group",
                    first.name, first.gpus, other.name, other.gpus
                );
                return refused(why, SECOND);
            }
        }
        if let Some(maker) = &first.other_gpus {
            let why = format!("`{}` has GPUs of {maker}, for which EKS has no image", first.name);
            return refused(why, "use a type with GPUs of NVIDIA");
        }
        if group.resources.gpus != first.gpus {
            let why = format!(
                "`{}` has {} GPUs, the profile says {}",
                first.name, first.gpus, group.resources.gpus
            );
            return refused(why, &format!("write `resources: {{nvidia.com/gpu: {}}}`", first.gpus));
        }
        if group.resources.architecture != first.architecture {
            let (is, says) = (&first.architecture, &group.resources.architecture);
            let why = format!("`{}` is {is}, the profile says {says}", first.name);
            return refused(why, &format!("write `resources: {{architecture: {is}}}`"));
        }
        Ok(match (first.architecture.as_str(), first.gpus > 0, first.has_neuron) {
            ("arm64", true, _) => "AL2023_ARM_64_NVIDIA",
            ("arm64", false, _) => "AL2023_ARM_64_STANDARD",
            (_, true, _) => "AL2023_x86_64_NVIDIA",
            (_, false, true) => "AL2023_x86_64_NEURON",
            (_, false, false) => "AL2023_x86_64_STANDARD",
        })
    }
}

/// That no machines can be made for `group`.
pub(super) fn cannot_make(group: &NodeGroup, why: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Invalid, format!("make node group {}", group.name), why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::nodes::sample_group;

    fn machine(name: &str, architecture: &str, gpus: u32) -> Machine {
        Machine {
            name: name.to_string(),
            architecture: architecture.to_string(),
            vcpus: 4,
            gpus,
            has_neuron: false,
            other_gpus: None,
        }
    }

    fn ami_type(machines: &[Machine], gpus: u32) -> Result<&'static str, Fault> {
        let names: Vec<String> = machines.iter().map(|machine| machine.name.clone()).collect();
        let known = machines.iter().map(|machine| (machine.name.clone(), machine.clone())).collect();
        let mut group = sample_group("general", 1, 1, gpus);
        group.resources.architecture.clone_from(&machines[0].architecture);
        Machines { known, ..Machines::default() }.ami_type(&group, &names)
    }

    #[test]
    fn the_image_follows_from_processor_and_gpu() {
        assert_eq!(ami_type(&[machine("m7i.large", "amd64", 0)], 0), Ok("AL2023_x86_64_STANDARD"));
        assert_eq!(ami_type(&[machine("m7g.large", "arm64", 0)], 0), Ok("AL2023_ARM_64_STANDARD"));
        assert_eq!(ami_type(&[machine("g6.xlarge", "amd64", 1)], 1), Ok("AL2023_x86_64_NVIDIA"));
        assert_eq!(ami_type(&[machine("g5g.xlarge", "arm64", 1)], 1), Ok("AL2023_ARM_64_NVIDIA"));
    }

    #[test]
    fn machines_that_do_not_go_together_are_refused_with_what_to_do() {
        let mixed = ami_type(&[machine("m7i.large", "amd64", 0), machine("m7g.large", "arm64", 0)], 0);
        assert!(mixed.is_err_and(|fault| fault.hint.as_deref() == Some("make a second node group")));
        let gpus = ami_type(&[machine("g6.xlarge", "amd64", 1), machine("m7i.large", "amd64", 0)], 1);
        let words = "`g6.xlarge` has 1 GPUs and `m7i.large` has 0";
        assert!(gpus.is_err_and(|fault| fault.reason.contains(words)));
        let amd = Machine { other_gpus: Some("AMD".to_string()), ..machine("g4ad.xlarge", "amd64", 0) };
        assert!(ami_type(&[amd], 0).is_err_and(|fault| fault.reason.contains("GPUs of AMD")));
        let unsaid = ami_type(&[machine("g6.xlarge", "amd64", 1)], 0);
        let write = "write `resources: {nvidia.com/gpu: 1}`";
        assert!(unsaid.is_err_and(|fault| fault.hint.as_deref() == Some(write)));
    }

    #[test]
    fn a_type_is_read_as_ec2_describes_it() {
        let text = "<r><instanceType>g6.xlarge</instanceType><processorInfo><supportedArchitectures><item>x86_64</item>\
            </supportedArchitectures></processorInfo><vCpuInfo><defaultVCpus>4</defaultVCpus></vCpuInfo><gpuInfo><gpus>\
            <item><manufacturer>NVIDIA</manufacturer><count>1</count></item></gpus></gpuInfo></r>";
        let described = Element::parse(text).expect("an element");
        assert_eq!(Machine::of(&described), Some(machine("g6.xlarge", "amd64", 1)));
    }

    #[test]
    fn a_slip_finds_the_type_or_its_family() {
        let there = BTreeSet::from(["m7i.large", "m7i.xlarge", "c7i.large"]);
        assert_eq!(nearest_types("m7i.lage", &there), ["m7i.large"]);
        assert_eq!(nearest_types("m7i.metal-96xl-turbo", &there), ["m7i.large", "m7i.xlarge"]);
        assert!(nearest_types("p5.48xlarge", &BTreeSet::from(["g5.12xlarge"])).is_empty());
    }
}

use super::{Berth, ControlPlane, Finished, Inventory, Proxy, Rule, Running};

/// One tenant of a test's profile.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// Its name; its namespace is `ENVIRONMENT-NAME`.
    pub name: &'static str,
    /// The keys of its quota.
    pub quota: Vec<(&'static str, &'static str)>,
}

impl Tenant {
    /// A tenant with the usual quota.
    pub fn new(name: &'static str) -> Self {
        Self { name, quota: vec![("requests.cpu", "10"), ("limits.memory", "20Gi")] }
    }
}

/// An environment on the shared control plane, reached by provider `existing` through a proxy of its
/// own, with a home of its own. When it goes, everything of its owner goes.
pub struct Environment {
    /// The shared control plane.
    pub plane: &'static ControlPlane,
    /// What berth believes to be the API server.
    pub proxy: Proxy,
    /// The binary in its home.
    pub berth: Berth,
    /// Its name.
    pub name: String,
    /// Its owner id.
    pub id: String,
}

impl Environment {
    /// An environment with the tenants `one` and `two`, not made yet.
    pub fn new(name: &str) -> Self {
        Self::on(ControlPlane::shared(), name)
    }

    /// The same on another control plane.
    pub fn on(plane: &'static ControlPlane, name: &str) -> Self {
        let environment = Self {
            plane,
            proxy: plane.proxy(),
            berth: Berth::new(),
            name: name.to_string(),
            id: id_of(name),
        };
        environment.declare(&[Tenant::new("one"), Tenant::new("two")]);
        environment
    }

    /// Writes the profile anew, with these tenants.
    pub fn declare(&self, tenants: &[Tenant]) {
        self.write_profile(&self.berth, tenants);
    }

    /// Writes the profile for another home.
    pub fn write_profile(&self, berth: &Berth, tenants: &[Tenant]) {
        let kubeconfig = self.plane.kubeconfig_through(&self.proxy, &berth.work());
        let mut text = format!(
            "apiVersion: berth.dev/v1alpha1\nkind: Environment\nname: {}\nid: {}\n\
             cluster:\n  existing: {{kubeconfig: {}, context: {}}}\ntenants:{}\n",
            self.name,
            self.id,
            kubeconfig.display(),
            self.plane.context(),
            if tenants.is_empty() { " []" } else { "" }
        );
        for Tenant { name, quota } in tenants {
            let quota: Vec<String> = quota.iter().map(|(key, value)| format!("{key}: {value}")).collect();
            let quota = quota.join(", ");
            let namespace = self.namespace(name);
            let groups = format!("{{admin: [{name}-leads], editor: [{name}-devs]}}");
            text.extend([
                format!("  - name: {name}\n    namespaces: [{namespace}]\n"),
                format!("    groups: {groups}\n    quota: {{{quota}}}\n"),
            ]);
        }
        berth.profile(&self.name, &text);
    }

    /// The namespace of a tenant.
    pub fn namespace(&self, tenant: &str) -> String {
        format!("{}-{tenant}", self.name)
    }

    /// `berth COMMAND NAME …`.
    pub fn run(&self, command: &str, more: &[&str]) -> Finished {
        self.berth.run(&[&[command, &self.name], more].concat())
    }

    /// `berth up NAME --yes`.
    pub fn up(&self) -> Finished {
        self.run("up", &["--yes"])
    }

    /// `berth down NAME --yes`.
    pub fn down(&self) -> Finished {
        self.run("down", &["--yes"])
    }

    /// Starts `berth COMMAND NAME --yes` and returns at once; dropped, it is killed.
    pub fn start(&self, command: &str) -> Running {
        self.berth.start(&[command, &self.name, "--yes"])
    }

    /// Starts `berth COMMAND NAME --yes` as the victim of `rule`.
    pub fn start_under(&self, command: &str, rule: Rule) -> Running {
        self.proxy.obey(vec![rule]);
        let running = self.start(command);
        self.proxy.aim_at(running.pid());
        running
    }

    /// The label selector of its owner.
    pub fn selector(&self) -> String {
        format!("berth.dev/owner={}", self.id)
    }

    /// What stands in the cluster with its owner's mark.
    pub fn inventory(&self) -> Inventory {
        Inventory::of(&self.plane.kubeconfig(), &self.selector())
    }

    /// What stands of the platform itself: without the records of runs.
    pub fn platform(&self) -> Inventory {
        let mut essence = self.inventory().essence();
        essence.0.retain(|title, _| !title.contains(" berth-system/"));
        essence
    }

    /// One field of a live object, as `kubectl get -o jsonpath` prints it.
    pub fn field(&self, namespace: &str, object: &str, path: &str) -> String {
        let path = format!("jsonpath={{{path}}}");
        self.plane.kubectl(&["-n", namespace, "get", object, "-o", &path]).stdout
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        let kinds = "namespaces,clusterroles,clusterrolebindings";
        self.plane.kubectl(&["delete", kinds, "-l", &self.selector(), "--wait=false"]);
        let records = "leases,configmaps";
        self.plane.kubectl(&["-n", "berth-system", "delete", records, "-l", &self.selector()]);
    }
}

/// An owner id that follows from a name.
fn id_of(name: &str) -> String {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    (0..8)
        .map(|place| char::from(LETTERS[usize::try_from((hash >> (place * 5)) & 31).expect("5 bits")]))
        .collect()
}

/// Whether `scripts/laws --all` asked for every point on its own.
pub fn every_point() -> bool {
    let all = std::env::var("BERTH_LAWS").is_ok_and(|wish| wish == "all");
    if !all {
        eprintln!("skipped: every point on its own takes long; `scripts/laws --all` runs it");
    }
    all
}

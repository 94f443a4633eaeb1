use std::fs;
use std::ops::Deref;

use super::{ControlPlane, Environment, Tenant, Webhook, eventually};

/// An environment whose profile has one addon of its own, from a folder beside it: every kind of its
/// objects is in an API group of its own, so that no other test meets them.
pub struct AddonEnvironment {
    /// The environment.
    pub environment: Environment,
    /// The API group of its custom resources: `NAME.example.org`.
    pub group: String,
    /// The namespace of the addon.
    pub namespace: String,
}

impl AddonEnvironment {
    /// An environment with the addon `gadgets`, without manifests yet, not made yet.
    pub fn new(name: &str) -> Self {
        Self::on(ControlPlane::shared(), name)
    }

    /// The same on another control plane.
    pub fn on(plane: &'static ControlPlane, name: &str) -> Self {
        let environment = Environment::on(plane, name);
        let (group, namespace) = (format!("{name}.example.org"), format!("{name}-gadgets"));
        let addon = Self { environment, group, namespace };
        addon.declare(true);
        let definition = "apiVersion: berth.dev/v1alpha1\nkind: Addon\nname: gadgets\nsummary: for tests\n\
             versions: [{version: 1.0.0, kubernetes: {from: \"1.33\", to: \"1.37\"}, images: {gadget: example.org/gadget:1}}]\n\
             options: {type: object, additionalProperties: false}\n\
             providers: {eks: objects, gke: objects, kind: objects, kwok: objects, existing: objects}\n\
             rehearsal: applied\n";
        let folder = addon.folder();
        fs::create_dir_all(folder.join("manifests")).expect("the folder is ours");
        fs::write(folder.join("addon.yaml"), definition).expect("the folder is ours");
        fs::write(folder.join("README.md"), "For tests.\n").expect("the folder is ours");
        addon
    }

    fn folder(&self) -> std::path::PathBuf {
        self.berth.work().join("profiles/addons/gadgets")
    }

    /// Writes the profile, with the addon or without.
    pub fn declare(&self, with_addon: bool) {
        self.declare_beside(&[], with_addon);
    }

    /// Writes the profile with these tenants.
    pub fn declare_beside(&self, tenants: &[Tenant], with_addon: bool) {
        self.environment.declare(tenants);
        let path = self.berth.work().join("profiles").join(format!("{}.yaml", self.name));
        let mut text = fs::read_to_string(&path).expect("it was written just now");
        if with_addon {
            text.push_str("addonsFrom: [addons/]\naddons: {gadgets: {}}\n");
        }
        fs::write(path, text).expect("the folder is ours");
    }

    /// Writes the addon's manifests: the objects, each in YAML or JSON.
    pub fn manifests(&self, objects: &[String]) {
        fs::write(self.folder().join("manifests/all.yaml"), objects.join("\n---\n"))
            .expect("the folder is ours");
    }

    /// Its namespace.
    pub fn home(&self) -> String {
        format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {}}}}}", self.namespace)
    }

    /// The definition of `Gadget`, without much of a schema.
    pub fn definition(&self) -> String {
        format!(
            "{{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {{name: gadgets.{0}}}, \
             spec: {{group: {0}, scope: Namespaced, names: {{kind: Gadget, plural: gadgets}}, preserveUnknownFields: false, \
             versions: [{{name: v1, served: true, storage: true, schema: {{openAPIV3Schema: {{type: object, properties: \
             {{spec: {{type: object, properties: {{size: {{type: integer}}}}}}}}}}}}}}]}}}}",
            self.group
        )
    }

    /// Lets somebody else define `Gadget`, and waits until the API server tells of it.
    pub fn define_as_somebody_else(&self) {
        self.plane.apply_as("kubectl", &self.definition());
        let path = format!("/apis/{}/v1", self.group);
        // That a definition is established says nothing of what is told to those who ask what there is.
        eventually("gadgets are told of", || {
            self.plane.kubectl(&["get", "--raw", &path]).stdout.contains("\"gadgets\"").then_some(())
        });
    }

    /// The same definition with a second, older version.
    pub fn definition_of_both(&self) -> String {
        self.definition().replace(
            "versions: [{name: v1, served: true, storage: true,",
            "versions: [{name: v1beta1, served: true, storage: false, schema: {openAPIV3Schema: {type: object, \
             x-kubernetes-preserve-unknown-fields: true}}}, {name: v1, served: true, storage: true,",
        )
    }

    /// A Gadget in the addon's namespace.
    pub fn gadget(&self, name: &str, size: u32) -> String {
        self.gadget_in(&self.namespace, name, size)
    }

    /// A Gadget in any namespace.
    pub fn gadget_in(&self, namespace: &str, name: &str, size: u32) -> String {
        format!(
            "{{apiVersion: {}/v1, kind: Gadget, metadata: {{name: {name}, namespace: {namespace}}}, spec: {{size: {size}}}}}",
            self.group
        )
    }

    /// The addon's program: without pods, since no node is there to run them, unless some are asked for.
    pub fn deployment(&self, replicas: u32) -> String {
        format!(
            "{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: gadgets, namespace: {}}}, spec: {{replicas: {replicas}, \
             selector: {{matchLabels: {{app: gadgets}}}}, template: {{metadata: {{labels: {{app: gadgets}}}}, \
             spec: {{hostNetwork: false, containers: [{{name: gadget, image: example.org/gadget:1, tty: false}}]}}}}}}}}",
            self.namespace
        )
    }

    /// A webhook configuration whose only rule is for Gadgets.
    pub fn webhook(&self, webhook: &Webhook, more: &str) -> String {
        format!(
            "{{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, \
             metadata: {{name: gadgets.{0}}}, webhooks: [{{name: gadgets.{0}, sideEffects: None, \
             admissionReviewVersions: [v1], timeoutSeconds: 5, clientConfig: {{url: \"{1}\"{more}}}, \
             rules: [{{apiGroups: [{0}], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [gadgets]}}]}}]}}",
            self.group,
            webhook.url()
        )
    }

    /// A merge patch by somebody else than berth, straight to the API server.
    pub fn patch(&self, object: &str, patch: &str) {
        let arguments =
            ["-n", &self.namespace, "patch", object, "--type=merge", "--field-manager=other", "-p"];
        self.plane.kubectl(&[arguments.as_slice(), &[patch]].concat()).expect(0);
    }

    /// Puts the authority of `webhook` into the addon's webhook configuration, as controllers do.
    pub fn inject(&self, webhook: &Webhook) {
        let patch = format!(
            "[{{\"op\": \"add\", \"path\": \"/webhooks/0/clientConfig/caBundle\", \"value\": \"{}\"}}]",
            webhook.authority()
        );
        let object = format!("validatingwebhookconfiguration/gadgets.{}", self.group);
        let arguments = ["patch", &object, "--type=json", "--field-manager=injector", "-p", &patch];
        self.plane.kubectl(&arguments).expect(0);
    }

    /// The titles of its Gadgets.
    pub fn gadgets(&self) -> Vec<String> {
        let kind = format!("gadgets.{}", self.group);
        let found = self.plane.kubectl(&["get", &kind, "-A", "-o", "name"]);
        let mut names: Vec<String> = found.stdout.lines().map(str::to_string).collect();
        names.sort();
        names
    }

    /// The dry runs that were asked for since the proxy's log was forgotten.
    pub fn dry_runs(&self) -> usize {
        self.proxy.log().0.iter().filter(|request| request.dry_run).count()
    }
}

impl Deref for AddonEnvironment {
    type Target = Environment;

    fn deref(&self) -> &Environment {
        &self.environment
    }
}

impl Drop for AddonEnvironment {
    fn drop(&mut self) {
        let webhooks = format!("validatingwebhookconfigurations/gadgets.{}", self.group);
        self.plane.kubectl(&["delete", &webhooks, "--ignore-not-found"]);
        let definition = format!("crd/gadgets.{}", self.group);
        self.plane.kubectl(&["delete", &definition, "--ignore-not-found", "--wait=false"]);
    }
}

//! Node groups with GPUs. No machine of the tests has one: that they are refused is seen on the engine as it is, and
//! the set-up is done in a real node, in which NVIDIA's programs and files are played, placed there from outside.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use crate::lab::{Lab, skipped};
use crate::support::{Finished, eventually};

/// The worker is the node with the GPU. The other one takes pods that want none, such as those that find out about
/// network policies.
const PROFILE: &str = "cluster: {kind: {}}
nodeGroups:
  - {name: gpu, nodes: 1, resources: {nvidia.com/gpu: 1}}
  - {name: general, nodes: 1}
";
/// As `nvidia-smi -L` lists the GPUs of a machine, from the README of <https://github.com/NVIDIA/nvkind>.
const LISTED: &str = include_str!("../fixtures/engines/nvidia-smi-list.txt");

/// What `nvidia-ctk` wrote.
const TOML: &str = include_str!("../fixtures/engines/nvidia-ctk-containerd.toml");

/// What NVIDIA's runtime on the machine and the driver leave in a node. Run as often as the node is started: mounts
/// and device files are gone then, programs stay.
///
/// `nvidia-smi` lists a GPU for each device file, as the real one does where the driver makes none itself, and tells
/// the numbers of those the other way round than it lists the GPUs. `nvidia-ctk` writes what the real one wrote into a
/// node of this image.
const MACHINE: &str = r#"
set -eu
mount -t tmpfs none /proc/driver
mkdir /proc/driver/nvidia
printf 'ResmanDebugLevel: 4294967295\nModifyDeviceFiles: 1\nDeviceFileMode: 438\n' >/proc/driver/nvidia/params
# Older toolkits hide the folder.
mount -t tmpfs none /proc/driver/nvidia
echo 'ModifyDeviceFiles: 1' >/proc/driver/nvidia/params
for name in nvidia0 nvidia1 nvidia2 nvidia3 nvidiactl nvidia-uvm; do : >"/dev/$name"; done
mount --bind /dev/nvidia1 /dev/nvidia1
mount --bind /dev/nvidia1 /dev/nvidia1
cat >/usr/share/gpus <<'LIST'
@LISTED@LIST
cat >/usr/local/bin/nvidia-smi <<'SMI'
#!/bin/sh
case "$*" in
-L) while read -r line; do
		index=${line#GPU }; index=${index%%:*}
		[ ! -e "/dev/nvidia$((3 - index))" ] || echo "$line"
	done </usr/share/gpus ;;
'-q -i GPU-'*)
	index=$(sed -n "s/^GPU \([0-9]\): .*$3.*/\1/p" /usr/share/gpus)
	printf '    GPU UUID                              : %s\n' "$3"
	printf '    Minor Number                          : %s\n' "$((3 - index))"
	;;
*) echo "not played: $*" >&2; exit 70 ;;
esac
SMI
cat >/usr/local/bin/nvidia-ctk <<'CTK'
#!/bin/sh
echo "$*" >>/usr/share/nvidia-ctk.calls
[ "$*" = 'runtime configure --runtime=containerd --config-source=file --set-as-default' ] || exit 70
mkdir -p /etc/containerd/conf.d
cat >/etc/containerd/conf.d/99-nvidia.toml <<'TOML'
@TOML@TOML
sed -i '1i imports = ["/etc/containerd/conf.d/*.toml"]' /etc/containerd/config.toml
CTK
cat >/usr/bin/nvidia-container-runtime <<'RUNTIME'
#!/bin/sh
exec /usr/local/sbin/runc-bounded "$@"
RUNTIME
chmod 755 /usr/local/bin/nvidia-smi /usr/local/bin/nvidia-ctk /usr/bin/nvidia-container-runtime
"#;

/// Whether this machine hands out GPUs, so that nothing of this is to be played on it.
fn has_gpus(lab: &Lab) -> bool {
    let runtime = lab.docker_says(&["info", "--format", "{{.DefaultRuntime}}"]);
    let has_some = runtime.starts_with("nvidia");
    if has_some {
        skipped("gpus", "Docker's default runtime here is NVIDIA's");
    }
    has_some
}

fn script(path: &Path, text: &str) {
    // It may be a link to the real program.
    fs::remove_file(path).expect("a lab has it");
    fs::write(path, text).expect("the folder is ours");
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("it is ours");
}

/// Has Docker say that its default runtime is NVIDIA's, and list four GPUs to a container that asks for all of them; and
/// kind's worker see what it would see on such a machine.
fn play_a_machine_with_gpus(lab: &Lab) {
    let real = |name: &str| fs::read_link(lab.programs().join(name)).expect("a link").display().to_string();
    let (docker, kind) = (real("docker"), real("kind"));
    let file = |name: &str, text: &str| {
        let path = lab.home().join(name);
        fs::write(&path, text).expect("the home is ours");
        path.display().to_string()
    };
    let (listed, machine) = (file("listed", LISTED), file("machine", &machine()));
    script(
        &lab.programs().join("docker"),
        &format!(
            "#!/bin/sh\ncase \"$*\" in\n'info '*) '{docker}' \"$@\" | sed 's/\"DefaultRuntime\":\"[^\"]*\"/\"DefaultRuntime\":\"nvidia\"/' ;;\n\
             'run --rm '*/var/run/nvidia-container-devices/all*' -L') cat '{listed}' ;;\n*) exec '{docker}' \"$@\" ;;\nesac\n"
        ),
    );
    script(
        &lab.programs().join("kind"),
        &format!(
            "#!/bin/sh\n'{kind}' \"$@\" || exit\n[ \"$1 $2\" = 'create cluster' ] || exit 0\n\
             '{docker}' exec -i '{}-worker' sh <'{machine}' >&2\n",
            lab.name()
        ),
    );
}

fn machine() -> String {
    MACHINE.replace("@LISTED@", LISTED).replace("@TOML@", TOML)
}

fn in_worker(lab: &Lab, command: &str) -> Finished {
    lab.docker(&["exec", &format!("{}-worker", lab.name()), "sh", "-c", command])
}

#[track_caller]
fn worker_says(lab: &Lab, command: &str) -> String {
    in_worker(lab, command).expect(0).stdout.trim().to_string()
}

/// That pods of the worker can have its GPU, and no other.
#[track_caller]
fn is_set_up(lab: &Lab) {
    assert_eq!(worker_says(lab, "nvidia-smi -L"), LISTED.lines().next().expect("it lists some"));
    // The first GPU has the last device file.
    assert_eq!(worker_says(lab, "echo /dev/nvidia*"), "/dev/nvidia-uvm /dev/nvidia3 /dev/nvidiactl");
    let params = worker_says(lab, "cat /proc/driver/nvidia/params");
    assert!(params.contains("ModifyDeviceFiles: 0") && params.contains("DeviceFileMode: 438"), "{params}");
    let runtime = worker_says(lab, "crictl info | grep '\"defaultRuntimeName\"'");
    assert!(runtime.contains("\"nvidia\""), "{runtime}");
}

#[test]
fn a_group_with_gpus_is_refused_where_containers_get_none_and_nothing_is_made() {
    let Some(lab) = Lab::start("gpu-none") else { return };
    if has_gpus(&lab) {
        return;
    }
    lab.profile(PROFILE);
    let refused = lab.berth("up", &["--yes"]).expect(8);
    let told = refused.said().split_whitespace().collect::<Vec<_>>().join(" ");
    let rehearsal = format!("`berth up {} --rehearse`", lab.name());
    for wanted in
        ["GPUs of node group `gpu`", "sudo nvidia-ctk runtime configure --runtime=docker", &rehearsal]
    {
        assert!(told.contains(wanted), "{wanted}: {}", refused.said());
    }
    assert_eq!(lab.nodes(), [""; 0]);
    // Taken for a machine that can, the container that asks as nodes do finds out.
    let docker = fs::read_link(lab.programs().join("docker")).expect("a link");
    script(
        &lab.programs().join("docker"),
        &format!(
            "#!/bin/sh\ncase $1 in info) '{0}' \"$@\" | sed 's/\"DefaultRuntime\":\"[^\"]*\"/\"DefaultRuntime\":\"nvidia\"/' ;;\n\
             *) exec '{0}' \"$@\" ;; esac\n",
            docker.display()
        ),
    );
    let refused = lab.berth("up", &["--yes"]).expect(8);
    assert!(refused.said().contains("accept-nvidia-visible-devices-as-volume-mounts"), "{}", refused.said());
    assert_eq!(lab.nodes(), [""; 0]);
}

#[test]
fn a_real_node_is_set_up_for_its_gpus_once_and_again_after_its_start() {
    let Some(lab) = Lab::of_nodes("gpu", 3) else { return };
    if has_gpus(&lab) {
        return;
    }
    if !lab.image().is_some_and(|image| image.contains("/realkind-node:")) {
        skipped("gpu", "what is played in the node was recorded in the image of scripts/kind-node");
        return;
    }
    play_a_machine_with_gpus(&lab);
    lab.profile(PROFILE);
    lab.berth("up", &["--yes"]).expect(0);
    is_set_up(&lab);
    let pod = format!(
        r#"{{"apiVersion":"v1","kind":"Pod","metadata":{{"name":"there"}},"spec":{{"nodeName":"{}-worker",
        "tolerations":[{{"operator":"Exists"}}],"containers":[{{"name":"there","image":"localhost/hello:v1",
        "imagePullPolicy":"IfNotPresent"}}]}}}}"#,
        lab.name()
    );
    fs::write(lab.work().join("pod.json"), pod).expect("the folder is ours");
    lab.kubectl(&["create", "-f", "pod.json"]).expect(0);
    lab.kubectl(&["wait", "pod/there", "--for=condition=Ready", "--timeout=90s"]).expect(0);

    let again = lab.berth("up", &[]).expect(0);
    assert!(again.stdout.contains("nothing had to change"), "{}", again.said());
    assert_eq!(worker_says(&lab, "wc -l </usr/share/nvidia-ctk.calls"), "1");

    let worker = format!("{}-worker", lab.name());
    lab.docker(&["restart", "--time", "1", &worker]).expect(0);
    let mut play = lab.docker_command(&["exec", "-i", &worker, "sh"]);
    let machine = fs::File::open(lab.home().join("machine")).expect("it was written");
    let played = play.stdin(Stdio::from(machine)).output().expect("started");
    assert!(played.status.success(), "{played:?}");
    // Until the node is heard of it is not known what differs, and that something does not is never claimed.
    eventually("a plan with the GPUs", || {
        let plan = lab.berth("plan", &["--detailed-exitcode"]).expect(2);
        plan.stdout.contains("GPUs of node").then_some(())
    });
    lab.berth("up", &[]).expect(0);
    is_set_up(&lab);
    assert_eq!(
        worker_says(&lab, "wc -l </usr/share/nvidia-ctk.calls"),
        "1",
        "what a start keeps is not done again"
    );
    lab.berth("down", &["--yes"]).expect(0);
}

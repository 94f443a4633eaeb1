package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// Container is what a container runtime is told by a kubelet.
type Container struct {
	Root         string   // an empty folder that becomes the container's root
	Program      string   // where the image's program lies outside
	Command      []string // the first is its path inside
	Environment  []string
	Mounts       []Mount
	ReadOnlyRoot bool
	User, Group  int
	Groups       []int
	Capabilities []string // without CAP_
	MayGainMore  bool     // allowPrivilegeEscalation
	PidFile      string
}

// Mount is one entry of volumeMounts. Without a source it is an emptyDir.
type Mount struct {
	Source, Target string
	ReadOnly       bool
}

const (
	setNoNewPrivileges = 38 // prctl PR_SET_NO_NEW_PRIVS
	dropFromBounding   = 24 // prctl PR_CAPBSET_DROP
)

// In the order of linux/capability.h.
var capabilities = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
	LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO
	SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE
	AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF
	CHECKPOINT_RESTORE`)

// contain becomes the container's program. It expects a mount namespace of its own, in which nothing
// that is mounted reaches the world.
func contain(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var c Container
	if err := json.Unmarshal(text, &c); err != nil {
		return err
	}
	// What the kernel keeps for each thread is set on the one that ends up as the program.
	runtime.LockOSThread()
	if err := os.WriteFile(c.PidFile, []byte(strconv.Itoa(os.Getpid())), 0o644); err != nil {
		return err
	}
	if err := c.furnish(); err != nil {
		return err
	}
	if err := syscall.Chroot(c.Root); err != nil {
		return fmt.Errorf("chroot: %w", err)
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := c.dropRights(); err != nil {
		return err
	}
	return fmt.Errorf("%s: %w", c.Command[0], syscall.Exec(c.Command[0], c.Command, c.Environment))
}

// furnish mounts the root and all that is in it.
func (c *Container) furnish() error {
	if err := syscall.Mount("root", c.Root, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mounting the root: %w", err)
	}
	for _, folder := range []string{"proc", "dev", "etc", "tmp"} {
		if err := os.Mkdir(filepath.Join(c.Root, folder), 0o755); err != nil {
			return err
		}
	}
	if err := os.Chmod(filepath.Join(c.Root, "tmp"), 0o777|os.ModeSticky); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.Root, "etc/hosts"), []byte("127.0.0.1 localhost\n"), 0o644); err != nil {
		return err
	}
	if err := syscall.Mount("proc", filepath.Join(c.Root, "proc"), "proc", syscall.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("mounting proc: %w", err)
	}
	for _, device := range []string{"null", "zero", "full", "random", "urandom"} {
		if err := c.bind("/dev/"+device, "/dev/"+device, false); err != nil {
			return err
		}
	}
	if err := c.bind(c.Program, c.Command[0], false); err != nil {
		return err
	}
	for _, mount := range c.Mounts {
		if mount.Source != "" {
			if err := c.bind(mount.Source, mount.Target, true); err != nil {
				return err
			}
			continue
		}
		inside := filepath.Join(c.Root, mount.Target)
		if err := os.MkdirAll(inside, 0o755); err != nil {
			return err
		}
		if err := syscall.Mount("empty", inside, "tmpfs", 0, "mode=0777"); err != nil {
			return fmt.Errorf("mounting %s: %w", mount.Target, err)
		}
	}
	if c.ReadOnlyRoot {
		if err := syscall.Mount("", c.Root, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
			return fmt.Errorf("making the root read-only: %w", err)
		}
	}
	return nil
}

// bind makes a file or folder of outside appear at a path inside. Volumes that a kubelet fills are
// read-only inside.
func (c *Container) bind(source, target string, readOnly bool) error {
	inside := filepath.Join(c.Root, target)
	if err := os.MkdirAll(filepath.Dir(inside), 0o755); err != nil {
		return err
	}
	seen, err := os.Stat(source)
	if err != nil {
		return err
	}
	if seen.IsDir() {
		err = os.MkdirAll(inside, 0o755)
	} else {
		err = os.WriteFile(inside, nil, 0o644)
	}
	if err != nil {
		return err
	}
	if err := syscall.Mount(source, inside, "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", target, err)
	}
	if readOnly {
		flags := uintptr(syscall.MS_BIND | syscall.MS_REMOUNT | syscall.MS_RDONLY | syscall.MS_NOSUID | syscall.MS_NODEV)
		if err := syscall.Mount("", inside, "", flags, ""); err != nil {
			return fmt.Errorf("making %s read-only: %w", target, err)
		}
	}
	return nil
}

// dropRights leaves the user, groups and capabilities that the pod asks for.
func (c *Container) dropRights() error {
	if !c.MayGainMore {
		if err := prctl(setNoNewPrivileges, 1); err != nil {
			return fmt.Errorf("no new privileges: %w", err)
		}
	}
	kept := map[string]bool{}
	for _, name := range c.Capabilities {
		kept[name] = true
	}
	for number, name := range capabilities {
		if kept[name] {
			delete(kept, name)
			continue
		}
		if err := prctl(dropFromBounding, uintptr(number)); err != nil && err != syscall.EINVAL {
			return fmt.Errorf("dropping %s: %w", name, err)
		}
	}
	if len(kept) != 0 {
		return fmt.Errorf("unknown capabilities: %v", kept)
	}
	if c.User == 0 && c.Group == 0 && len(c.Groups) == 0 {
		return nil
	}
	// Go sets these on all threads.
	if err := syscall.Setgroups(c.Groups); err != nil {
		return fmt.Errorf("groups: %w", err)
	}
	if err := syscall.Setgid(c.Group); err != nil {
		return fmt.Errorf("group: %w", err)
	}
	if err := syscall.Setuid(c.User); err != nil {
		return fmt.Errorf("user: %w", err)
	}
	return nil
}

func prctl(option, argument uintptr) error {
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, option, argument, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	return nil
}

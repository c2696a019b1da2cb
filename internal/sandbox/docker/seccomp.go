package docker

import (
	"encoding/json"
	"slices"
	"sync"

	"github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// families are the kinds of sockets that are of any use in a sandbox whose only interface is loopback.
var families = []uint64{unix.AF_UNIX, unix.AF_INET, unix.AF_INET6, unix.AF_NETLINK}

// seccompProfile is the current default profile of Docker, as the daemon's API takes it: an old daemon's own still allows
// io_uring, vsock and AF_ALG. It is made narrower twice: only the machine's own architecture, because the arguments of a
// 32-bit socketcall cannot be looked at; and only the families above. The daemon resolves its conditions on kernel,
// architecture and capabilities; a system call that it has never heard of is refused.
var seccompProfile = sync.OnceValues(func() (string, error) {
	profile := seccomp.DefaultProfile()
	for i := range profile.ArchMap {
		profile.ArchMap[i].SubArches = nil
	}
	var rules []*seccomp.Syscall
	for _, rule := range profile.Syscalls {
		one := *rule
		one.Names = slices.DeleteFunc(slices.Clone(rule.Names), func(name string) bool { return name == "socket" || name == "socketcall" })
		if len(one.Names) > 0 {
			rules = append(rules, &one)
		}
	}
	for _, family := range families {
		rules = append(rules, &seccomp.Syscall{LinuxSyscall: specs.LinuxSyscall{Names: []string{"socket"}, Action: specs.ActAllow,
			Args: []specs.LinuxSeccompArg{{Index: 0, Value: family, Op: specs.OpEqualTo}}}})
	}
	profile.Syscalls = rules
	text, err := json.Marshal(profile)
	return string(text), err
})

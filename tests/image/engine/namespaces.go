package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A child of github.com/containers/storage/pkg/unshare has to leave its namespaces before it does anything else. The
// package does that in C, before Go begins; in a program without C the child would never answer. So it is done here,
// while Go initialises packages: that is on the first thread, and an exec takes its namespaces over. A new user
// namespace is impossible by then, but whoever is root asks for none.
func init() {
	flags, asked := taken("_Containers-unshare")
	if !asked {
		return
	}
	if err := leave(flags); err != nil {
		fail(err)
	}
}

// leave answers with the process' id, waits for the word to go on, and begins the program anew in other namespaces.
func leave(flags int) error {
	if answer, asked := taken("_Containers-pid-pipe"); asked {
		pipe := os.NewFile(uintptr(answer), "pid")
		if _, err := fmt.Fprint(pipe, os.Getpid()); err != nil {
			return err
		}
		pipe.Close()
	}
	if word, asked := taken("_Containers-continue-pipe"); asked {
		pipe := os.NewFile(uintptr(word), "continue")
		if told, err := io.ReadAll(pipe); err != nil || len(told) > 0 {
			return fmt.Errorf("told not to go on: %s %v", told, err)
		}
		pipe.Close()
	}
	if _, asked := taken("_Containers-setsid"); asked {
		if _, err := unix.Setsid(); err != nil {
			return fmt.Errorf("setsid: %w", err)
		}
	}
	if err := unix.Unshare(flags); err != nil {
		return fmt.Errorf("unshare %#x: %w", flags, err)
	}
	return unix.Exec("/proc/self/exe", os.Args, os.Environ())
}

// taken is a number in the environment that is meant for this process alone, and whether it is there.
func taken(name string) (int, bool) {
	number, err := strconv.Atoi(os.Getenv(name))
	os.Unsetenv(name)
	return number, err == nil
}

// allowSetgroups lets setgroups succeed without doing anything, in this process and its children. A namespace that was
// made without root has no such call, and buildah insists on it; there is one group, so nothing is lost.
func allowSetgroups() error {
	if state, err := os.ReadFile("/proc/self/setgroups"); err != nil || strings.TrimSpace(string(state)) != "deny" {
		return err
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_SETGROUPS},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC,
		uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return fmt.Errorf("a filter for setgroups: %w", errno)
	}
	return nil
}

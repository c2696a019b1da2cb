package agent

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"vivarium/internal/terminal"
)

// openPTY opens a pair as the user, who thereby owns the terminal's device. The master does not block, so that reads have
// deadlines.
func openPTY(opts Options, size terminal.Size) (master, slave *os.File, err error) {
	err = opts.asUser(func() error {
		m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		s, name, err := openSlave(m, size)
		if err != nil {
			unix.Close(m)
			return err
		}
		master, slave = os.NewFile(uintptr(m), "/dev/ptmx"), os.NewFile(uintptr(s), name)
		return nil
	})
	return master, slave, err
}

func openSlave(master int, size terminal.Size) (int, string, error) {
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		return 0, "", err
	}
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		return 0, "", err
	}
	name := fmt.Sprintf("/dev/pts/%d", n)
	slave, err := unix.Open(name, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return 0, "", err
	}
	if err := setSize(slave, size); err != nil {
		unix.Close(slave)
		return 0, "", err
	}
	// Tells the line discipline that input is UTF-8, so that erasing in a plain read erases whole characters. It is a
	// nicety: a kernel without it keeps the default.
	if t, err := unix.IoctlGetTermios(slave, unix.TCGETS); err == nil {
		t.Iflag |= unix.IUTF8
		_ = unix.IoctlSetTermios(slave, unix.TCSETS, t)
	}
	return slave, name, nil
}

func setSize(fd int, size terminal.Size) error {
	return unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: size.Rows, Col: size.Cols})
}

// Command swap exchanges two names without pause until it is killed, and prints a line after the first hundred.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

func main() {
	for n := 0; ; n++ {
		if err := unix.Renameat2(unix.AT_FDCWD, os.Args[1], unix.AT_FDCWD, os.Args[2], unix.RENAME_EXCHANGE); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		if n == 100 {
			fmt.Println("swapping")
		}
	}
}

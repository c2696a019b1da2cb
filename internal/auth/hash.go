package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/argon2"

	"vivarium/internal/fault"
)

// parameters are the costs of argon2id.
type parameters struct {
	memory  uint32 // KiB
	passes  uint32
	threads uint8
}

// cost is the first row of OWASP's Password Storage Cheat Sheet, which ASVS 5.0 appendix C repeats: 46 MiB, one pass.
var cost = parameters{memory: 46 * 1024, passes: 1, threads: 1}

// What is verified at most: a hash in the database must not make the server allocate without bound.
const (
	maxMemory  = 256 * 1024 // KiB
	maxPasses  = 10
	maxThreads = 8
)

const (
	saltBytes = 16
	hashBytes = 32
)

// queueTimeout is how long a request waits for its turn to hash.
const queueTimeout = 5 * time.Second

var phcEncoding = base64.RawStdEncoding.Strict()

// hasher computes password hashes, only so many at once: each takes 46 MiB, and without a bound a flood of logins would
// take the machine's memory.
type hasher struct {
	slots   chan struct{}
	waiting atomic.Int64
	queue   int64
	dummy   string // verified where there is no account, so that the answer takes as long
	tidy    *time.Timer
}

// tidyAfter is how long after the last hash its memory goes back to the system. The collector would keep it: after one
// login the server would be twice as large as it needs to be, for hours.
const tidyAfter = 200 * time.Millisecond

func newHasher() *hasher {
	slots := 2 * runtime.NumCPU()
	h := &hasher{slots: make(chan struct{}, slots), queue: int64(16 * slots)}
	h.tidy = time.AfterFunc(time.Hour, debug.FreeOSMemory)
	h.tidy.Stop()
	h.dummy = encodePHC(cost, randomBytes(saltBytes), randomBytes(hashBytes))
	return h
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: it ends the program instead
	return b
}

// enter waits for a slot. The caller must call leave once it has hashed.
func (h *hasher) enter(ctx context.Context) (leave func(), err error) {
	leave = func() {
		<-h.slots
		h.tidy.Reset(tidyAfter)
	}
	select {
	case h.slots <- struct{}{}:
		return leave, nil
	default:
	}
	if h.waiting.Add(1) > h.queue {
		h.waiting.Add(-1)
		return nil, errBusy()
	}
	defer h.waiting.Add(-1)
	timer := time.NewTimer(queueTimeout)
	defer timer.Stop()
	select {
	case h.slots <- struct{}{}:
		return leave, nil
	case <-timer.C:
		return nil, errBusy()
	case <-ctx.Done():
		return nil, fault.Wrap(ctx.Err(), fault.Timeout, "The server did not get to it in time. Try again.")
	}
}

func errBusy() error {
	return fault.New(fault.Exhausted, "Many people are logging in at this moment. Try again in a few seconds.").After(2 * time.Second)
}

// hash returns the PHC string of a new password.
func (h *hasher) hash(ctx context.Context, password string) (string, error) {
	leave, err := h.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	salt := randomBytes(saltBytes)
	return encodePHC(cost, salt, derive(password, salt, cost, hashBytes)), nil
}

// verify reports whether the password is that of the PHC string. A string that is none is an internal error.
func (h *hasher) verify(ctx context.Context, password, phc string) (bool, error) {
	p, salt, want, err := decodePHC(phc)
	if err != nil {
		return false, err
	}
	leave, err := h.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	return subtle.ConstantTimeCompare(derive(password, salt, p, len(want)), want) == 1, nil
}

func derive(password string, salt []byte, p parameters, length int) []byte {
	return argon2.IDKey([]byte(password), salt, p.passes, p.memory, p.threads, uint32(length))
}

// encodePHC writes the string format of the Password Hashing Competition:
// $argon2id$v=19$m=47104,t=1,p=1$salt$hash.
func encodePHC(p parameters, salt, hash []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.passes, p.threads,
		phcEncoding.EncodeToString(salt), phcEncoding.EncodeToString(hash))
}

var errPHC = errors.New("a stored password hash is not an argon2id hash that this version takes")

func decodePHC(phc string) (p parameters, salt, hash []byte, err error) {
	parts := strings.Split(phc, "$")
	if len(parts) != 6 || parts[0] != "" || parts[1] != "argon2id" || parts[2] != "v="+strconv.Itoa(argon2.Version) {
		return p, nil, nil, errPHC
	}
	costs := strings.Split(parts[3], ",")
	if len(costs) != 3 {
		return p, nil, nil, errPHC
	}
	memory, errMemory := phcNumber(costs[0], "m=", 8, maxMemory)
	passes, errPasses := phcNumber(costs[1], "t=", 1, maxPasses)
	threads, errThreads := phcNumber(costs[2], "p=", 1, maxThreads)
	salt, errSalt := phcEncoding.DecodeString(parts[4])
	hash, errHash := phcEncoding.DecodeString(parts[5])
	if errors.Join(errMemory, errPasses, errThreads, errSalt, errHash) != nil ||
		len(salt) < 8 || len(salt) > 64 || len(hash) < 16 || len(hash) > 64 {
		return p, nil, nil, errPHC
	}
	return parameters{memory: memory, passes: passes, threads: uint8(threads)}, salt, hash, nil
}

func phcNumber(text, prefix string, low, high uint32) (uint32, error) {
	digits, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return 0, errPHC
	}
	n, err := strconv.ParseUint(digits, 10, 32)
	if err != nil || uint32(n) < low || uint32(n) > high {
		return 0, errPHC
	}
	return uint32(n), nil
}

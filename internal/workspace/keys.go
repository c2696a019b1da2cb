package workspace

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	tinkpb "github.com/tink-crypto/tink-go/v2/proto/tink_go_proto"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Keys seal the content of files and hash it. The sealing keys may be several, of which the first seals and all open; the
// hashing key is one for as long as the installation lives, because content is found by its hash.
type Keys struct {
	seal tink.AEAD
	hash *prf.Set
}

// ErrSealed is returned for stored content that these keys did not seal for its hash: it was damaged, swapped with other
// content, or sealed with other keys.
var ErrSealed = errors.New("stored content does not open: it is damaged, not where it belongs, or sealed with other keys")

const (
	keysFormat       = "vivarium-keys/1"
	maxKeysFileBytes = 1 << 20
	blobDomain       = "vivarium/blobs/v1"
	printDomain      = "vivarium/keys/fingerprint/v1"
)

// keysFile is the file: two Tink key sets in clear text, so it is as secret as the content itself.
type keysFile struct {
	Format  string          `json:"format"`
	Sealing json.RawMessage `json:"sealing"`
	Hashing json.RawMessage `json:"hashing"`
}

// LoadKeys reads the keys from a file. With create it makes the file with new keys when there is none, which never
// replaces one. The errors are sentences for whoever runs the server.
func LoadKeys(file string, create bool) (*Keys, error) {
	text, err := readKeysFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		if !create {
			return nil, fmt.Errorf("there is no key file at %s, without which stored files cannot be read: restore it from your backup", file)
		}
		if err := createKeysFile(file); err != nil {
			return nil, fmt.Errorf("cannot make the key file %s: %w", file, err)
		}
		text, err = readKeysFile(file)
	}
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("the key file %s is damaged or is not a key file of Vivarium (%w): restore it from your backup", file, err)
	}
	return keys, nil
}

func readKeysFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the key file: %w", err)
	}
	defer f.Close()
	stat, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot read the key file: %w", err)
	}
	if !stat.Mode().IsRegular() {
		return nil, fmt.Errorf("the key file %s is not a regular file", file)
	}
	if stat.Mode().Perm()&0o007 != 0 {
		return nil, fmt.Errorf("everybody on this machine may use the key file %s: run chmod 600 on it", file)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeysFileBytes+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read the key file: %w", err)
	}
	if len(text) > maxKeysFileBytes {
		return nil, fmt.Errorf("the key file %s is too large to be one", file)
	}
	return text, nil
}

func parseKeys(text []byte) (*Keys, error) {
	var file keysFile
	if err := json.Unmarshal(text, &file); err != nil {
		return nil, errors.New("it is not whole JSON") // the cause could repeat a part of a key
	}
	if file.Format != keysFormat {
		return nil, fmt.Errorf("its format is not %q", keysFormat)
	}
	sealing, err := readKeyset(file.Sealing)
	if err != nil {
		return nil, errors.New("its sealing keys cannot be read")
	}
	hashing, err := readKeyset(file.Hashing)
	if err != nil {
		return nil, errors.New("its hashing key cannot be read")
	}
	keys := &Keys{}
	if keys.seal, err = aead.New(sealing); err != nil {
		return nil, errors.New("its sealing keys are of another kind")
	}
	if keys.hash, err = prf.NewPRFSet(hashing); err != nil {
		return nil, errors.New("its hashing key is of another kind")
	}
	if hashing.Len() != 1 {
		return nil, errors.New("it has more than one hashing key")
	}
	if _, err := keys.hash.ComputePrimaryPRF(nil, uint32(len(Hash{}))); err != nil {
		return nil, errors.New("its hashing key gives too short hashes")
	}
	return keys, nil
}

func readKeyset(text []byte) (*keyset.Handle, error) {
	return insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(text)))
}

func newKeyset(template *tinkpb.KeyTemplate) ([]byte, error) {
	handle, err := keyset.NewHandle(template)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := insecurecleartextkeyset.Write(handle, keyset.NewJSONWriter(&text)); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

// createKeysFile writes new keys so that the file is there whole and lasting, or not at all. When another process has made it
// meanwhile, that one stays.
func createKeysFile(file string) error {
	sealing, err := newKeyset(aead.AES256GCMKeyTemplate())
	if err != nil {
		return err
	}
	hashing, err := newKeyset(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(keysFile{Format: keysFormat, Sealing: sealing, Hashing: hashing}, "", "  ")
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(file), ".keys-*") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(append(text, '\n'))
	err = errors.Join(err, temp.Sync(), temp.Close())
	if err != nil {
		return err
	}
	// A link and not a rename, which would replace the keys that another process may have sealed with already.
	if err := os.Link(temp.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Seal encrypts content for the place in the store that its hash names.
func (k *Keys) Seal(h Hash, content []byte) ([]byte, error) {
	return k.seal.Encrypt(content, associated(h))
}

// Open decrypts what Seal made for the same hash, and fails with ErrSealed on everything else.
func (k *Keys) Open(h Hash, sealed []byte) ([]byte, error) {
	content, err := k.seal.Decrypt(sealed, associated(h))
	if err != nil {
		return nil, ErrSealed // Tink's error says no more than that
	}
	return content, nil
}

func associated(h Hash) []byte { return append([]byte(blobDomain), h[:]...) }

// Hash returns the keyed hash of the content that has this sum.
func (k *Keys) Hash(sum Sum) Hash { return Hash(k.compute(sum[:])) }

// Fingerprint tells the keys of two installations apart, and tells nothing about them. It is that of the hashing key, so
// that it stays the same when the sealing keys are rotated.
func (k *Keys) Fingerprint() [16]byte { return [16]byte(k.compute([]byte(printDomain))[:16]) }

func (k *Keys) compute(input []byte) []byte {
	out, err := k.hash.ComputePrimaryPRF(input, uint32(len(Hash{})))
	if err != nil {
		panic("the hashing key was tried when it was loaded: " + err.Error())
	}
	return out
}

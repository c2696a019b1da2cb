package session_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"

	"vivarium/internal/fault"
	"vivarium/internal/workspace"
)

// seeds is how many random histories the test below goes through; VIVARIUM_SEEDS makes it more, VIVARIUM_SEED replays one.
const seeds = 40

// TestF9_RandomHistoriesOfBothSidesConvergeAndLoseNothing lets an editor and a program change the same few paths, with
// failing calls, lost connections and restarted servers in between, and then compares both sides.
func TestF9_RandomHistoriesOfBothSidesConvergeAndLoseNothing(t *testing.T) {
	from, to := uint64(1), uint64(seeds)
	if n, err := strconv.ParseUint(os.Getenv("VIVARIUM_SEEDS"), 10, 64); err == nil {
		to = n
	}
	if n, err := strconv.ParseUint(os.Getenv("VIVARIUM_SEED"), 10, 64); err == nil {
		from, to = n, n
	}
	p := newPlace(t)
	for seed := from; seed <= to; seed++ {
		if !history(t, p, seed) {
			t.Fatalf("replay with VIVARIUM_SEED=%d", seed)
		}
	}
}

func history(t *testing.T, p *place, seed uint64) bool {
	random := rand.New(rand.NewPCG(seed, 1))
	ws, err := p.files.Create(t.Context(), p.who, fmt.Sprint("seed ", seed), "blank")
	if err != nil {
		t.Fatal(err)
	}
	p.ws = ws.ID
	defer func() {
		if err := p.Discard(t.Context(), ws.ID); err != nil {
			t.Error(err)
		}
		if err := p.files.Delete(t.Context(), p.who, ws.ID); err != nil {
			t.Error(err)
		}
	}()
	box := p.start()
	pick := func() string {
		parts := make([]string, 1+random.IntN(3))
		for i := range parts {
			parts[i] = string("abc"[random.IntN(3)])
		}
		return strings.Join(parts, "/")
	}
	for step := range 30 {
		at, content := pick(), fmt.Sprintf("seed %d step %d", seed, step)
		switch random.IntN(12) {
		case 0, 1, 2, 3:
			if _, err := p.files.Write(t.Context(), p.who, ws.ID, at, []byte(content), workspace.WriteOptions{IfVersion: workspace.AnyVersion}); err != nil && !fault.Is(err, fault.Conflict) && !fault.Is(err, fault.Invalid) {
				t.Errorf("seed %d: save: %v", seed, err)
			}
		case 4:
			err := p.files.Remove(t.Context(), p.who, ws.ID, at, workspace.AnyVersion)
			if err != nil && !fault.Is(err, fault.NotFound) {
				t.Errorf("seed %d: remove: %v", seed, err)
			}
		case 5, 6, 7:
			box.change(func(files map[string]boxItem) {
				for up := path.Dir(at); up != "."; up = path.Dir(up) {
					if i, ok := files[up]; ok && i.kind != workspace.Folder {
						return
					}
				}
				removeFrom(files, at)
				putInto(files, at, boxItem{kind: workspace.File, content: []byte(content)})
			}, at)
		case 8:
			box.remove(at)
		case 9:
			box.mu.Lock()
			box.fails = random.IntN(3)
			box.mu.Unlock()
		case 10:
			box.cut()
		case 11:
			if random.IntN(4) == 0 {
				p.Service.Close()
				p.serve()
			} else {
				p.flush()
			}
		}
	}
	p.flush()
	p.flush() // conflict copies made in the first one
	ok := true
	items, err := p.files.StoredAt(t.Context(), ws.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	box.mu.Lock()
	defer box.mu.Unlock()
	if len(items) != len(box.files) {
		t.Errorf("seed %d: %d items stored, %d in the sandbox: %v", seed, len(items), len(box.files), slices.Sorted(maps.Keys(box.files)))
		ok = false
	}
	for _, item := range items {
		i, there := box.files[item.Path]
		if !there || i.kind != item.Kind || item.Kind == workspace.File && p.files.HashOf(workspace.SumOf(i.content)) != item.Hash {
			t.Errorf("seed %d: %s differs: stored %+v, in the sandbox %+v (%v)", seed, item.Path, item, i, there)
			ok = false
		}
	}
	// What the sync overwrote or removed in the sandbox must have been stored before.
	for _, content := range box.overwritten {
		hash := p.files.HashOf(workspace.SumOf(content))
		if has, err := p.items.HasBlobs(t.Context(), []workspace.Hash{hash}); err != nil || !has[hash] {
			t.Errorf("seed %d: %q was overwritten in the sandbox and is not stored (%v)", seed, content, err)
			ok = false
		}
	}
	return ok
}

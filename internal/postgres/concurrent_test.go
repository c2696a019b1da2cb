package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"vivarium/internal/workspace"
)

// warm opens all connections of the pool, so that what is started at once runs at once.
func (b *bench) warm() {
	b.t.Helper()
	var ready, done sync.WaitGroup
	n := int(b.db.Stat().MaxConns())
	ready.Add(n)
	for range n {
		done.Go(func() {
			err := b.db.Tx(b.t.Context(), func(context.Context, pgx.Tx) error {
				ready.Done()
				ready.Wait()
				return nil
			})
			if err != nil {
				b.t.Error(err)
			}
		})
	}
	done.Wait()
}

func isVersionConflict(err error) bool {
	_, is := errors.AsType[*workspace.VersionConflict](err)
	return is
}

func TestF3_OneOfAHundredCreatesOfOnePathWins(t *testing.T) {
	b := newBench(t)
	b.warm()
	var won, lost atomic.Int32
	var wg sync.WaitGroup
	for i := range 100 {
		wg.Go(func() {
			_, err := b.save("dir/one", fmt.Sprint("by ", i), 0)
			switch {
			case err == nil:
				won.Add(1)
			case isVersionConflict(err):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 99 {
		t.Errorf("want 1 winner and 99 conflicts, got %d and %d", won.Load(), lost.Load())
	}
}

func TestF8_CompareAndSetNeverLosesASave(t *testing.T) {
	b := newBench(t)
	b.warm()
	const writers, saves = 8, 15
	b.mustSave("counter", "0")
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for done := 0; done < saves; {
				item, err := b.db.Item(t.Context(), b.ws, "counter")
				if err != nil {
					t.Error(err)
					return
				}
				blob, err := b.db.Blob(t.Context(), item.Hash)
				if err != nil {
					t.Error(err)
					return
				}
				var n int
				if _, err := fmt.Sscanf(string(blob.Sealed), "sealed %d", &n); err != nil {
					t.Error(err)
					return
				}
				_, err = b.save("counter", fmt.Sprint(n+1), item.Version)
				switch {
				case err == nil:
					done++
				case !isVersionConflict(err):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	want, _ := content(fmt.Sprint(writers * saves))
	if item, err := b.db.Item(t.Context(), b.ws, "counter"); err != nil || item.Hash != want || item.Version != writers*saves+1 {
		t.Errorf("want the count of %d in version %d, got %+v (%v)", writers*saves, writers*saves+1, item, err)
	}
}

func TestF6_TenThousandItemsInOneList(t *testing.T) {
	b := newBench(t)
	changes := make([]workspace.Change, 0, 10_000)
	blobs := make([]workspace.Blob, 0, 10_000)
	for i := range 10_000 {
		change, blob := save(fmt.Sprintf("dir/%d/%d.txt", i/100, i), fmt.Sprint("content ", i), 0)
		changes, blobs = append(changes, change), append(blobs, blob)
	}
	by := workspace.Author{UserID: b.owner.ID, SessionID: uuid.New()}
	timed := func(what string, changes []workspace.Change, blobs []workspace.Blob) {
		t.Helper()
		begun := time.Now()
		if _, err := b.db.Apply(t.Context(), b.ws, by, changes, blobs, limits); err != nil {
			t.Fatal(err)
		}
		took := time.Since(begun)
		t.Logf("%s: %v", what, took)
		// It takes about a second; the rest is for busy machines and the race detector.
		if took > 15*time.Second {
			t.Errorf("%s took %v", what, took)
		}
	}
	timed("making", changes, blobs)
	for i := range changes {
		changes[i].Executable = true
		changes[i].IfVersion = workspace.AnyVersion
	}
	timed("changing", changes, nil)
	timed("moving the folder", []workspace.Change{b.move("dir", "moved")}, nil)
	if got, err := b.db.Totals(t.Context(), b.ws); err != nil || got.Items != 10_101 {
		t.Errorf("want 10,101 items, got %+v (%v)", got, err)
	}
	if got, err := b.db.ItemsAt(t.Context(), b.ws, []string{"moved/7", "moved/7/712.txt", "nothing"}); err != nil || len(got) != 101 {
		t.Errorf("want a folder and its 100 files, got %d (%v)", len(got), err)
	}
	for i := range changes {
		changes[i] = b.remove(fmt.Sprintf("moved/%d/%d.txt", i/100, i))
	}
	timed("removing half of the files one by one", changes[:5_000], nil)
	timed("removing the folder", []workspace.Change{b.remove("moved")}, nil)
	if got := b.paths(); len(got) != 0 {
		t.Errorf("want nothing left, got %d items", len(got))
	}
}

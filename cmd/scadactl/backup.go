package main

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"scada/web/api"
)

// maxManifest bounds what is read of a manifest, in bytes: some ten thousand days.
const maxManifest = 8 << 20

// backupNames are the files a backup may hold. A name is a path on the machine it is restored on.
var backupNames = regexp.MustCompile(`^(journal\.db|history/meta\.db|history/p/[0-9]{8}\.l[01]\.db|history/r/[0-9]{6}\.db)$`)

func (a *app) backupCommand() *cobra.Command {
	return group("backup", "Copies of what a node has recorded (the other node is none: what is deleted or spoiled here is so there)",
		a.backupCreate(), a.backupVerify(), a.backupRestore())
}

func (a *app) backupCreate() *cobra.Command {
	var file string
	cmd := &cobra.Command{Use: "create", Short: "Take a backup of a node while it runs: history and journal", Args: cobra.NoArgs}
	cmd.Flags().StringVarP(&file, "file", "f", "", "write it here")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if file == "" {
			return usage("-f FILE is required")
		}
		if !a.timeoutSet {
			a.timeout = 24 * time.Hour
		}
		return a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			m, err := a.takeBackup(ctx, c, file)
			if err != nil {
				return err
			}
			return a.print(manifestTable(m))
		})(cmd, args)
	}
	return cmd
}

// takeBackup writes beside the file and moves it into place when it is known to be whole.
func (a *app) takeBackup(ctx context.Context, c *api.Client, file string) (m api.Manifest, err error) {
	part := file + ".part"
	f, err := os.OpenFile(part, os.O_CREATE|os.O_TRUNC|os.O_RDWR, 0o600)
	if err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err == nil {
			err = os.Rename(part, file)
		} else {
			_ = os.Remove(part) // the error is told
		}
	}()
	counted := &countingWriter{w: f, tell: func(n int64) { a.progress("%d MiB", n>>20) }}
	if err := c.Backup(ctx, counted); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	a.progressEnd()
	if err := f.Sync(); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return m, fmt.Errorf("backup: %w", err)
	}
	return readBackup(f, nil)
}

type countingWriter struct {
	w    io.Writer
	n    int64
	told int64
	tell func(int64)
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	if c.n += int64(n); c.n-c.told > 1<<20 {
		c.told = c.n
		c.tell(c.n)
	}
	return n, err
}

func (a *app) backupVerify() *cobra.Command {
	return &cobra.Command{Use: "verify FILE", Short: "Read a backup and compare every file with its checksum; needs no server", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			a.started = true
			m, err := readBackupFile(args[0], nil)
			if err != nil {
				return err
			}
			return a.print(manifestTable(m))
		}}
}

func (a *app) backupRestore() *cobra.Command {
	var data, project string
	var force bool
	cmd := &cobra.Command{Use: "restore FILE", Short: "Put a backup into the data folder of a node that is stopped, on its machine", Args: cobra.ExactArgs(1),
		Long: "Put a backup into the data folder of a node that is stopped, on its machine.\n\nThe whole backup is checked first. A backup of another project, and a folder " +
			"that has a history or a journal, are refused unless --force is given; what was there is then moved aside, not deleted. What the other node has recorded since, it gives back by itself.",
		RunE: func(_ *cobra.Command, args []string) error {
			if data == "" || project == "" {
				return usage("--data and --project are required: data of the node and project, as in plant.yaml")
			}
			a.started = true
			m, err := restoreBackup(args[0], data, project, force, time.Now())
			if err != nil {
				return err
			}
			return a.print(manifestTable(m))
		}}
	cmd.Flags().StringVar(&data, "data", "", "data folder of the node")
	cmd.Flags().StringVar(&project, "project", "", "project of the plant")
	cmd.Flags().BoolVar(&force, "force", false, "take a backup of another project, and replace what is there")
	return cmd
}

func manifestTable(m api.Manifest) table {
	t := table{value: m, header: []string{"file", "bytes", "sha256"}}
	for _, f := range m.Files {
		t.add(f.Name, fmt.Sprint(f.Size), f.SHA256)
	}
	t.add("project "+m.Project+", node "+m.Node, "", when(&m.Created))
	return t
}

func readBackupFile(file string, extract func(name string, content io.Reader) error) (api.Manifest, error) {
	f, err := os.Open(file)
	if err != nil {
		return api.Manifest{}, fmt.Errorf("backup: %w", err)
	}
	defer f.Close()
	return readBackup(f, extract)
}

// readBackup reads a backup to its end, hands its files to extract, which may be nil, and compares them with the manifest.
func readBackup(r io.Reader, extract func(name string, content io.Reader) error) (m api.Manifest, err error) {
	t := tar.NewReader(r)
	found := map[string]api.BackupFile{}
	for {
		h, err := t.Next()
		if err != nil { // the end too: the manifest should have come
			return m, fmt.Errorf("backup: it is not whole: no manifest at its end (%w)", err)
		}
		if h.Name == api.BackupManifest {
			break
		}
		if _, twice := found[h.Name]; twice || h.Typeflag != tar.TypeReg || !backupNames.MatchString(h.Name) {
			return m, fmt.Errorf("backup: %q does not belong into a backup", h.Name)
		}
		sum := sha256.New()
		content := io.TeeReader(t, sum)
		if extract != nil {
			err = extract(h.Name, content)
		}
		if err == nil {
			_, err = io.Copy(io.Discard, content)
		}
		if err != nil {
			return m, fmt.Errorf("backup: %s: %w", h.Name, err)
		}
		found[h.Name] = api.BackupFile{Name: h.Name, Size: h.Size, SHA256: hex.EncodeToString(sum.Sum(nil))}
	}
	if err := json.NewDecoder(io.LimitReader(t, maxManifest)).Decode(&m); err != nil {
		return m, fmt.Errorf("backup: its manifest cannot be read: %w", err)
	}
	return m, checkManifest(m, found)
}

func checkManifest(m api.Manifest, found map[string]api.BackupFile) error {
	if m.Format != api.BackupFormat {
		return fmt.Errorf("backup: its format is %q, this program reads %q", m.Format, api.BackupFormat)
	}
	for _, f := range m.Files {
		got, ok := found[f.Name]
		switch {
		case !ok:
			return fmt.Errorf("backup: %s is missing", f.Name)
		case got != f:
			return fmt.Errorf("backup: %s is damaged: its checksum is not the one in the manifest", f.Name)
		}
		delete(found, f.Name)
	}
	for name := range found {
		return fmt.Errorf("backup: %s is not in the manifest", name)
	}
	return nil
}

// restoreBackup checks everything before it touches the folder, writes beside, and moves into place.
func restoreBackup(file, data, project string, force bool, now time.Time) (api.Manifest, error) {
	m, err := readBackupFile(file, nil)
	if err != nil {
		return m, err
	}
	if m.Project != project && !force {
		return m, &exitError{exitRefused, fmt.Sprintf("the backup is of project %q, not %q; --force takes it all the same", m.Project, project)}
	}
	there, err := recorded(data)
	if err != nil {
		return m, err
	}
	if len(there) > 0 && !force {
		return m, &exitError{exitRefused, fmt.Sprintf("%s has a %s already; --force moves it aside", data, there[0])}
	}
	fresh := filepath.Join(data, "restore.new")
	if err := errors.Join(os.RemoveAll(fresh), os.MkdirAll(fresh, 0o750)); err != nil {
		return m, fmt.Errorf("restore: %w", err)
	}
	defer os.RemoveAll(fresh)
	if _, err := readBackupFile(file, func(name string, content io.Reader) error {
		return writeFile(filepath.Join(fresh, filepath.FromSlash(name)), content)
	}); err != nil {
		return m, err
	}
	aside := ".before-" + now.UTC().Format("20060102T150405Z")
	for _, name := range there {
		if err := os.Rename(filepath.Join(data, name), filepath.Join(data, name+aside)); err != nil {
			return m, fmt.Errorf("restore: %w", err)
		}
	}
	for _, name := range []string{"journal.db", "history"} {
		if err := os.Rename(filepath.Join(fresh, name), filepath.Join(data, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return m, fmt.Errorf("restore: %w", err)
		}
	}
	return m, nil
}

// recorded returns what a data folder has that a backup replaces. What the nodes agreed on, and the image of the alarms,
// belong to the archives that go.
func recorded(data string) (out []string, err error) {
	for _, name := range []string{"history", "journal.db", "agreed.json"} {
		switch _, err := os.Stat(filepath.Join(data, name)); {
		case err == nil:
			out = append(out, name)
		case !errors.Is(err, os.ErrNotExist):
			return nil, fmt.Errorf("restore: %w", err)
		}
	}
	return out, nil
}

// writeFile writes a file to disk, with its folders.
func writeFile(name string, content io.Reader) (err error) {
	if err := os.MkdirAll(path.Dir(filepath.ToSlash(name)), 0o750); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o640)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := io.Copy(f, content); err != nil {
		return err
	}
	return f.Sync()
}

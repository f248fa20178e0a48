package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// A backup is a tar archive: the files of a node, and behind them the manifest, without which it is not whole.
const (
	BackupFormat   = "scada backup 1"
	BackupManifest = "manifest.json"
)

// Manifest says what a backup is of and what belongs to it.
type Manifest struct {
	Format       string       `json:"format"`
	Project      string       `json:"project"`
	Node         string       `json:"node"`
	Version      string       `json:"version"`
	ConfigDigest string       `json:"config_digest"`
	Created      time.Time    `json:"created"`
	Files        []BackupFile `json:"files"`
}

// BackupFile is one file of a backup.
type BackupFile struct {
	Name   string `json:"name"` // below the data folder of the node, with slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Backup writes a backup of the first node that can be reached. An error may come after a part was written.
func (c *Client) Backup(ctx context.Context, w io.Writer) error {
	c.avoidFrozen(ctx)
	var errs []error
	for _, server := range c.Servers() {
		resp, err := c.open(ctx, server+"/api/v1/backup")
		if err != nil {
			errs = append(errs, err)
			continue
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
			if err != nil {
				return fmt.Errorf("answer: %w", err)
			}
			return problemOf(resp, data)
		}
		if _, err := io.Copy(w, resp.Body); err != nil {
			return fmt.Errorf("the backup broke off: %w", err)
		}
		return nil
	}
	return &Unreachable{Errs: errs}
}

func (c *Client) open(ctx context.Context, target string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return nil, errors.Join(errors.New("request"), err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return c.http.Do(req)
}

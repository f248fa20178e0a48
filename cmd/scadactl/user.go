package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"scada/web/api"
)

// userCommands are those that talk to the server.
func (a *app) userCommands() []*cobra.Command {
	list := &cobra.Command{Use: "list", Short: "All users", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			users, err := c.Users(ctx)
			if err != nil {
				return err
			}
			t := table{value: users, header: []string{"name", "role", "areas", "state", "declared", "changed", "by"}}
			for _, u := range users.Users {
				t.add(u.Name, u.Role, areaRoles(u.Areas), userState(u), yes(u.Declared), when(u.ChangedAt), u.ChangedBy)
			}
			return a.print(t)
		})}
	remove := &cobra.Command{Use: "remove NAME", Short: "Remove a user; the sessions end", Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			return a.changed(c.RemoveUser(ctx, args[0]))
		})}
	verb := func(name, short string) *cobra.Command {
		return &cobra.Command{Use: name + " NAME", Short: short, Args: cobra.ExactArgs(1),
			RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
				return a.changed(c.ChangeUser(ctx, args[0], name, api.UserCommand{}))
			})}
	}
	return []*cobra.Command{list, a.userAdd(), remove, a.userPassword(), a.userRole(), a.tokenCommand(),
		verb(api.UserLock, "Keep a user out; the sessions end"), verb(api.UserUnlock, "Let a user in again")}
}

func userState(u api.User) string {
	switch {
	case u.Locked:
		return "locked"
	case u.MustChange:
		return "must change the password"
	}
	return "active"
}

func areaRoles(areas map[string]string) string {
	var parts []string
	for _, area := range slices.Sorted(maps.Keys(areas)) {
		parts = append(parts, area+"="+areas[area])
	}
	return strings.Join(parts, " ")
}

// changed tells what came of a change, and whether the other node has it.
func (a *app) changed(r api.PeopleResult, err error) error {
	if err != nil {
		return err
	}
	if !r.Mirrored {
		fmt.Fprintln(a.err, "scadactl: the other node does not have it yet; it gets it when it is back")
	}
	t := table{value: r, header: []string{"name", "mirrored"}}
	t.add(r.Name, yes(r.Mirrored))
	return a.print(t)
}

// parseAreas reads --area north=operator, given as often as needed.
func parseAreas(list []string) (map[string]string, error) {
	areas := map[string]string{}
	for _, text := range list {
		area, role, ok := strings.Cut(text, "=")
		if !ok || area == "" || role == "" {
			return nil, usage("--area %s: want AREA=ROLE", text)
		}
		areas[area] = role
	}
	return areas, nil
}

func (a *app) userAdd() *cobra.Command {
	var role string
	var areas []string
	cmd := &cobra.Command{Use: "add NAME", Short: "Add a user; the password is asked for, and has to be changed at the first log-in", Args: cobra.ExactArgs(1),
		RunE: a.ask(func(_ context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
			in := api.UserCommand{Name: args[0], Role: role}
			var err error
			if in.Areas, err = parseAreas(areas); err != nil {
				return err
			}
			if in.Password, err = a.readPassword(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout) // not while somebody types
			defer cancel()
			return a.changed(c.AddUser(ctx, in))
		})}
	cmd.Flags().StringVar(&role, "role", "viewer", "role in the whole plant: viewer, operator, engineer or admin")
	cmd.Flags().StringArrayVar(&areas, "area", nil, "another role in an area: AREA=ROLE; may be repeated")
	return cmd
}

func (a *app) userRole() *cobra.Command {
	var areas []string
	cmd := &cobra.Command{Use: "role NAME ROLE", Short: "Set what a user may do; areas that are not named have the role of the plant", Args: cobra.ExactArgs(2),
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			in := api.UserCommand{Role: args[1]}
			var err error
			if in.Areas, err = parseAreas(areas); err != nil {
				return err
			}
			return a.changed(c.ChangeUser(ctx, args[0], api.UserRole, in))
		})}
	cmd.Flags().StringArrayVar(&areas, "area", nil, "another role in an area: AREA=ROLE; may be repeated")
	return cmd
}

func (a *app) userPassword() *cobra.Command {
	return &cobra.Command{Use: "password [NAME]", Short: "Set the password of a user, or change one's own", Args: cobra.MaximumNArgs(1),
		Long: "With a NAME an administrator sets a password, which that user has to change at the next log-in. Without one the password of who is logged in\n" +
			"(scadactl login) is changed: the present one is asked for first. From a pipe it is one line, or two: the present one, then the new one.",
		RunE: a.ask(func(_ context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
			var in api.UserCommand
			var old string
			var err error
			if len(args) == 0 {
				if old, err = a.askSecret("Present password: "); err != nil {
					return err
				}
			}
			if in.Password, err = a.readPassword(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
			defer cancel()
			if len(args) == 1 {
				return a.changed(c.ChangeUser(ctx, args[0], api.UserPassword, in))
			}
			s, token, err := c.ChangeOwnPassword(ctx, api.PasswordChange{Old: old, New: in.Password})
			if err != nil {
				return err
			}
			return a.keepToken(c, s, token)
		})}
}

func (a *app) tokenCommand() *cobra.Command {
	list := &cobra.Command{Use: "list", Short: "All tokens, without what is secret of them", Args: cobra.NoArgs,
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, _ []string) error {
			tokens, err := c.Tokens(ctx)
			if err != nil {
				return err
			}
			t := table{value: tokens, header: []string{"name", "role", "areas", "expires", "declared", "changed", "by"}}
			for _, k := range tokens.Tokens {
				t.add(k.Name, k.Role, areaRoles(k.Areas), when(k.ExpiresAt), yes(k.Declared), when(k.ChangedAt), k.ChangedBy)
			}
			return a.print(t)
		})}
	var in api.TokenCommand
	var areas []string
	var life time.Duration
	create := &cobra.Command{Use: "create NAME", Short: "Make a token and print it; it is not shown again", Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			in.Name, in.ForS = args[0], int64(life/time.Second)
			var err error
			if in.Areas, err = parseAreas(areas); err != nil {
				return err
			}
			made, err := c.CreateToken(ctx, in)
			if err != nil {
				return err
			}
			if a.format == "table" {
				_, err = fmt.Fprintln(a.out, made.Token) // to be put into a file, so without a heading
				return err
			}
			t := table{value: made, header: []string{"name", "token", "expires"}}
			t.add(made.Name, made.Token, when(made.ExpiresAt))
			return a.print(t)
		})}
	create.Flags().StringVar(&in.Role, "role", "viewer", "viewer, operator, engineer or admin")
	create.Flags().StringArrayVar(&areas, "area", nil, "another role in an area: AREA=ROLE; may be repeated")
	create.Flags().DurationVar(&life, "for", 365*24*time.Hour, "how long it is valid; 0: without an end")
	revoke := &cobra.Command{Use: "revoke NAME", Short: "End a token", Args: cobra.ExactArgs(1),
		RunE: a.ask(func(ctx context.Context, c *api.Client, _ *cobra.Command, args []string) error {
			return a.changed(c.RevokeToken(ctx, args[0]))
		})}
	return group("token", "Tokens of machines", list, create, revoke)
}

// loginCommand signs a person in: what it keeps is valid on both nodes for twelve hours.
func (a *app) loginCommand() *cobra.Command {
	return &cobra.Command{Use: "login USER", Short: "Log in with a password and keep the session in the credentials file", Args: cobra.ExactArgs(1),
		PreRun: func(*cobra.Command, []string) { a.makesFile = true },
		RunE: a.ask(func(_ context.Context, c *api.Client, cmd *cobra.Command, args []string) error {
			password, err := a.askSecret("Password: ")
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), a.timeout)
			defer cancel()
			s, token, err := c.Login(ctx, api.Login{User: args[0], Password: password})
			if err != nil {
				return err
			}
			return a.keepToken(c, s, token)
		})}
}

// keepToken writes the session to the credentials file, readable by its owner alone.
func (a *app) keepToken(c *api.Client, s api.Session, token string) error {
	file, err := a.credentialsFile()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("keeping the session: %w", err)
	}
	kept, err := a.readCredentials()
	if err != nil {
		return err
	}
	text := "SCADACTL_SERVER=" + strings.Join(c.Servers(), ",") + "\nSCADACTL_TOKEN=" + token + "\n"
	for _, name := range []string{"SCADACTL_CA", "SCADACTL_FINGERPRINT"} {
		value := map[string]string{"SCADACTL_CA": a.ca, "SCADACTL_FINGERPRINT": a.fingerprint}[name]
		if value == "" {
			value = kept[name]
		}
		if value != "" {
			text += name + "=" + value + "\n"
		}
	}
	if err := os.WriteFile(file+".new", []byte(text), 0o600); err != nil {
		return fmt.Errorf("keeping the session: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return fmt.Errorf("keeping the session: %w", err)
	}
	fmt.Fprintf(a.err, "scadactl: logged in as %s (%s) until %s; kept in %s\n", s.User, s.Role, s.ExpiresAt.Format(time.RFC3339), file)
	if s.MustChange {
		fmt.Fprintln(a.err, "scadactl: the password must be changed before anything else: scadactl user password")
	}
	t := table{value: s, header: []string{"user", "role", "expires"}}
	t.add(s.User, s.Role, s.ExpiresAt.Format(time.RFC3339))
	return a.print(t)
}

// askSecret asks once on a terminal and reads one line otherwise.
func (a *app) askSecret(prompt string) (string, error) {
	if f, ok := a.in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprint(a.err, prompt)
		b, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.err)
		if err != nil {
			return "", fmt.Errorf("read password: %w", err)
		}
		return string(b), nil
	}
	if a.lines == nil {
		a.lines = bufio.NewReader(io.LimitReader(a.in, 4*api.MaxPassword))
	}
	line, err := a.lines.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	return strings.TrimRight(line, "\r\n"), nil
}

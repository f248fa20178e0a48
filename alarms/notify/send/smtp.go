package send

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/wneessen/go-mail"

	"scada/alarms/notify"
)

// The ways in which the connection to a mail server is secured.
const (
	TLSNone     = "none"
	TLSStart    = "starttls" // plain at first; refused when the server does not offer it
	TLSImplicit = "tls"
)

// SMTP is a mail server and who writes to whom.
type SMTP struct {
	Host     string
	Port     int
	TLS      string
	User     string // empty: no log-in
	Password string
	From     string
	To       []string
}

type mailer struct {
	r Receiver
	o Options
}

func newMailer(r Receiver, o Options) *mailer { return &mailer{r: r, o: o} }

// Close implements [Sender].
func (m *mailer) Close() {}

// Send implements [Sender]: one mail for the batch.
func (m *mailer) Send(ctx context.Context, b notify.Batch) error {
	msg, err := m.compose(b)
	if err != nil {
		return fmt.Errorf("mail: %w: %w", err, ErrRefused)
	}
	c, err := m.client(ctx)
	if err != nil {
		return fmt.Errorf("mail: %w", err)
	}
	if err := c.DialAndSendWithContext(ctx, msg); err != nil {
		var se *mail.SendError
		if errors.As(err, &se) && !se.IsTemp() && se.ErrorCode() >= 500 {
			return fmt.Errorf("mail: %w: %w", err, ErrRefused)
		}
		return fmt.Errorf("mail: %w", err)
	}
	return nil
}

func (m *mailer) client(ctx context.Context) (*mail.Client, error) {
	s := m.r.SMTP
	opts := []mail.Option{
		mail.WithPort(s.Port), mail.WithTimeout(timeoutOf(m.r)), mail.WithHELO(m.o.Node), mail.WithTLSConfig(&tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12}),
		mail.WithDialContextFunc(func(dial context.Context, network, address string) (net.Conn, error) {
			conn, err := m.o.Dial(dial, network, address)
			if err != nil {
				return nil, err
			}
			if deadline, ok := ctx.Deadline(); ok { // a server that stalls in the middle does not hold the mail for ever
				err = conn.SetDeadline(deadline)
			}
			if err == nil && s.TLS == TLSImplicit {
				return tls.Client(conn, &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12}), nil
			}
			return conn, err
		}),
	}
	switch s.TLS {
	case TLSStart:
		opts = append(opts, mail.WithTLSPolicy(mail.TLSMandatory))
	default: // with implicit TLS the connection is secured already
		opts = append(opts, mail.WithTLSPolicy(mail.NoTLS))
	}
	if s.User != "" {
		opts = append(opts, mail.WithSMTPAuth(mail.SMTPAuthPlain), mail.WithUsername(s.User), mail.WithPassword(s.Password))
		if s.TLS == TLSNone || s.TLS == TLSImplicit { // the library sees no TLS in a connection that was made secure before
			opts = append(opts, mail.WithSMTPAuth(mail.SMTPAuthPlainNoEnc))
		}
	}
	return mail.NewClient(s.Host, opts...)
}

func (m *mailer) compose(b notify.Batch) (*mail.Msg, error) {
	s := m.r.SMTP
	msg := mail.NewMsg()
	if err := errors.Join(msg.From(s.From), msg.To(s.To...)); err != nil {
		return nil, err
	}
	first := &b.Items[0].Notice
	subject := headline(first)
	if n := len(b.Items); n > 1 {
		subject = fmt.Sprintf("%s, and %d more", subject, n-1)
	}
	msg.Subject(fmt.Sprintf("[%s] %s", m.o.Project, subject))
	msg.SetMessageIDWithValue(batchID(b) + "@" + m.o.Project) // the same from either node: mailboxes know a second copy by it
	msg.SetDateWithValue(instant(first.Time))
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	var text strings.Builder
	for i := range b.Items {
		paragraph(&text, &b.Items[i])
	}
	if m.o.ExternalURL != "" {
		fmt.Fprintf(&text, "%s\n", m.o.ExternalURL)
	}
	msg.SetBodyString(mail.TypeTextPlain, text.String())
	return msg, nil
}

// headline says in one line what is the matter.
func headline(n *notify.Notice) string {
	what := n.Message
	if what == "" {
		what = n.Condition
	}
	state := strings.ToUpper(n.Priority.String())
	if n.Resolved() {
		state = "GONE"
	}
	return strings.Join(strings.Fields(state+" "+what), " ") // no line break gets into a header
}

func paragraph(b *strings.Builder, it *notify.Item) {
	n := &it.Notice
	fmt.Fprintf(b, "%s\n", headline(n))
	line := func(name, value string) {
		if value = strings.TrimSpace(value); value != "" {
			fmt.Fprintf(b, "  %-10s %s\n", name, value)
		}
	}
	line("alarm", n.Condition+" #"+fmt.Sprint(n.Occurrence))
	line("tag", n.Tag)
	line("level", n.Level.String())
	line("value", n.Value+" "+n.Unit)
	line("area", n.Area)
	line("since", instant(n.Time).Format(time.RFC3339))
	if n.Resolved() {
		line("gone", instant(n.Ended).Format(time.RFC3339))
	} else {
		line("to do", n.Guidance)
	}
	line("id", it.ID)
	b.WriteString("\n")
}

package pages

import (
	"bufio"
	"context"
	"flag"
	"io"
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/crisphandover/handover"
	"github.com/crisphandover/handover/channel/webchat"
)

// reader follows the pages on this machine.
type reader struct {
	t       *testing.T
	ctx     context.Context     // of all that is run
	dir     string              // the programs of the pages, built, and curl's cookies
	addr    string              // where the first bot listens, in place of :8080
	crisp   []string            // the environment that the fake Crisp prints
	chat    string              // where the webchat says that it is
	running map[string]*program // by the names of the examples
}

const chatKey = "0123456789abcdef0123456789abcdef"

// newReader builds the programs that the pages run, and ends those that run when the test does.
func newReader(t *testing.T) *reader {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute) // should a program say nothing
	r := &reader{t: t, ctx: ctx, dir: t.TempDir(), addr: listener.Addr().String(), running: map[string]*program{}}
	r.sh("go build -o " + r.dir + " ./examples/... ./internal/loadtest")
	t.Cleanup(func() {
		cancel()
		for name := range r.running {
			r.end(name)
		}
	})
	return r
}

// sh runs a line in a shell.
func (r *reader) sh(line string) {
	out, err := exec.CommandContext(r.ctx, "sh", "-c", line).CombinedOutput()
	require.NoError(r.t, err, "%s\n%s", line, out)
}

// needs skips a command whose program is not on this machine.
func (r *reader) needs(program string) {
	if _, err := exec.LookPath(program); err != nil {
		r.t.Skipf("%s is not installed here", program)
	}
}

// run runs what needs no help. What it builds does not stay here.
func (r *reader) run(line string) {
	program, _, _ := strings.Cut(line, " ")
	r.needs(program)
	r.sh(strings.Replace(line, "go build ", "go build -o "+r.dir+"/ ", 1))
}

// shows is what each example prints first that proves that it works, and what is typed for that.
var shows = map[string]struct{ typed, printed string }{
	"llmbot":    {"", "It is settled"},
	"webchat":   {"", "http://127.0.0.1:"},
	"telegram":  {"human\n", "agent Ann"},
	"slack":     {"human\n", "Ann"},
	"messenger": {"human\n", "Ann"},
	"whatsapp":  {"human\n", "Ann"},
	"fakecrisp": {"", "export CRISP_URL="},
	"check":     {"", "nothing must be mended"},
}

// example starts an example, and waits for what proves that it works. It goes on until the test ends.
func (r *reader) example(line string) {
	name := path.Base(line)
	if r.running[name] != nil {
		return
	}
	env := []string{"ADDR=127.0.0.1:0", "CHAT_KEY=" + chatKey, "HOOKS=http://" + r.addr + "/crisp/hooks"}
	if name == "check" || name == "firstbot" { // they take the hooks of the fake Crisp, one at a time
		r.example("fakecrisp")
		r.end("firstbot")
		env = append(append(env, r.crisp...), "ADDR="+r.addr)
	}
	p := r.start(env, filepath.Join(r.dir, name))
	r.running[name] = p
	p.types(shows[name].typed)
	if name == "firstbot" {
		return // curl asks it
	}
	said := p.says(r.t, shows[name].printed)
	switch name {
	case "fakecrisp":
		r.crisp = strings.Fields(said)[1:]
	case "webchat":
		r.chat = said
	case "check":
		r.end(name)
	}
}

// curl asks the first bot, or the webchat.
func (r *reader) curl(line string) {
	r.needs("curl")
	line = "cd " + r.dir + " && " + line + " --silent --show-error --fail --retry 20 --retry-delay 1 --retry-connrefused"
	if strings.Contains(line, "localhost:8080/chat/") {
		r.curlChat(line)
		return
	}
	r.sh(strings.ReplaceAll(line, "localhost:8080", r.addr))
	firstbot, crisp := r.running["firstbot"], r.running["fakecrisp"]
	if !strings.Contains(line, "text=human") {
		firstbot.says(r.t, "bot: I am only a bot.")
		return
	}
	firstbot.says(r.t, "system: A person will be with you soon.")
	crisp.types("Hello from Ann\n")
	firstbot.says(r.t, "agent: Hello from Ann")
	crisp.types("/resolve\n")
	firstbot.says(r.t, "You are talking with the bot again")
}

func (r *reader) curlChat(line string) {
	chat, err := webchat.New(webchat.Config{URL: r.chat + "/chat/", Key: handover.NewSecret(chatKey)})
	require.NoError(r.t, err)
	token, err := chat.Token(webchat.Login{UserID: "ann"})
	require.NoError(r.t, err)
	line = strings.NewReplacer("localhost:8080", r.chat, "TOKEN", token).Replace(line)
	if !strings.Contains(line, "/chat/events") {
		r.sh(line)
		return
	}
	events := r.start(nil, "sh", "-c", line) // until it is stopped
	events.says(r.t, `"Hello"`)
	r.running["curl"] = events
}

// test finds the flags, the package and the tests that a line of go test names. Other tests run them.
func (r *reader) test(line string) {
	line, _, _ = strings.Cut(strings.ReplaceAll(line, "'", ""), " > ")
	flags := flag.NewFlagSet(line, flag.ContinueOnError)
	module, tests, benches := flags.String("C", ".", ""), flags.String("run", "", ""), flags.String("bench", "", "")
	flags.Int("count", 1, "")
	flags.String("benchtime", "", "")
	flags.Bool("v", false, "")
	update, pending := flags.Bool("update", false, ""), flags.Bool("pending", false, "")
	_, args, _ := strings.Cut(line, "go ")
	pkg := ""
	for rest := strings.Fields(args); len(rest) > 0; rest = flags.Args()[min(1, flags.NArg()):] {
		require.NoError(r.t, flags.Parse(rest))
		if flags.NArg() > 0 && flags.Arg(0) != "test" {
			pkg = flags.Arg(0)
		}
	}
	code := r.testCode(filepath.Join(*module, strings.TrimSuffix(pkg, "...")))
	for name, isSet := range map[string]bool{"update": *update, "pending": *pending} {
		require.True(r.t, !isSet || strings.Contains(code, `flag.Bool("`+name+`"`), "-%s", name)
	}
	top, story, _ := strings.Cut(*tests, "/")
	r.finds(code, "Test", top)
	r.finds(code, "Benchmark", *benches)
	if story != "" {
		require.FileExists(r.t, "testdata/stories/"+strings.Trim(story, "^$")+".txt")
	}
}

// finds requires a test of this kind whose name fits.
func (r *reader) finds(code, kind, pattern string) {
	if pattern == "" || pattern == "^$" {
		return
	}
	fits := regexp.MustCompile(pattern)
	names := regexp.MustCompile(`(?m)^func (`+kind+`\w*)\(`).FindAllStringSubmatch(code, -1)
	require.True(r.t, slices.ContainsFunc(names, func(m []string) bool { return fits.MatchString(m[1]) }), "no %s is called %s", kind, pattern)
}

// testCode is the code of the tests in a directory.
func (r *reader) testCode(dir string) (code string) {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	require.NoError(r.t, err)
	require.NotEmpty(r.t, files, dir)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(r.t, err)
		code += string(text)
	}
	return code
}

// flags asks a program of ours for the flags that a line gives it.
func (r *reader) flags(line string) {
	name := regexp.MustCompile(`(?:examples|internal)/(\w+)`).FindStringSubmatch(line)[1]
	help, _ := exec.CommandContext(r.ctx, filepath.Join(r.dir, name), "-h").CombinedOutput()
	for _, given := range regexp.MustCompile(` (-[a-z]+)`).FindAllStringSubmatch(line, -1) {
		require.Regexp(r.t, `(?m)^  `+given[1]+`\b`, string(help))
	}
}

// module finds a module of this repository under the name that a line gets it by.
func (r *reader) module(line string) {
	name := strings.TrimPrefix(line, "go get ")
	text, err := os.ReadFile(filepath.Join(".", strings.TrimPrefix(name, "github.com/crisphandover/handover"), "go.mod"))
	require.NoError(r.t, err)
	require.Contains(r.t, string(text), "module "+name+"\n")
}

// script checks a script of .ci, which runs elsewhere, and that it reads the variable that the line sets.
func (r *reader) script(line string) {
	variable, file, _ := strings.Cut("="+line, ".ci/")
	r.sh("test -x .ci/" + file + " && bash -n .ci/" + file)
	text, err := os.ReadFile(".ci/" + file)
	require.NoError(r.t, err)
	name, _, _ := strings.Cut(strings.TrimPrefix(variable, "="), "=")
	require.Contains(r.t, string(text), name)
}

// program is one that runs.
type program struct {
	cmd   *exec.Cmd
	in    io.Writer
	lines chan string
	ended chan error
}

// start starts a program with these variables, and no other one of Crisp's.
func (r *reader) start(env []string, name string, args ...string) *program {
	p := &program{cmd: exec.CommandContext(r.ctx, name, args...), lines: make(chan string, 1000), ended: make(chan error, 1)}
	p.cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "CRISP_") }), env...)
	out, to, err := os.Pipe()
	require.NoError(r.t, err)
	p.cmd.Stdout, p.cmd.Stderr = to, to
	p.in, err = p.cmd.StdinPipe()
	require.NoError(r.t, err)
	require.NoError(r.t, p.cmd.Start())
	require.NoError(r.t, to.Close())
	go func() {
		defer close(p.lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.lines <- s.Text()
		}
		p.ended <- p.cmd.Wait()
	}()
	return p
}

func (p *program) types(text string) { _, _ = io.WriteString(p.in, text) }

// says waits for a line with these words, and returns it.
func (p *program) says(t *testing.T, words string) string {
	var said []string
	for line := range p.lines {
		if said = append(said, line); strings.Contains(line, words) {
			return line
		}
	}
	require.Fail(t, "it ended without these words", "%q:\n%s", words, strings.Join(said, "\n"))
	return ""
}

// end interrupts a program, and waits for its end.
func (r *reader) end(name string) {
	if p := r.running[name]; p != nil {
		_ = p.cmd.Process.Signal(os.Interrupt)
		for range p.lines {
		}
		delete(r.running, name)
	}
}

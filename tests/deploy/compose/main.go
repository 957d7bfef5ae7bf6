// Command compose loads a Compose file as `docker compose` would, strictly, and prints what it
// came to as JSON. Whatever the library only warns of, such as a variable without a value, is an
// error here. Variables come from the arguments alone: FILE [NAME=VALUE ...].
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/sirupsen/logrus"
)

func main() {
	if len(os.Args) < 2 {
		fail(fmt.Errorf("usage: compose FILE [NAME=VALUE ...]"))
	}
	warned := &warnings{}
	logrus.AddHook(warned)
	options, err := cli.NewProjectOptions(
		os.Args[1:2],
		cli.WithEnv(os.Args[2:]),
		cli.WithInterpolation(true),
		cli.WithNormalization(true),
		cli.WithConsistency(true),
		cli.WithResolvedPaths(true),
	)
	if err != nil {
		fail(err)
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		fail(err)
	}
	if len(warned.said) > 0 {
		fail(fmt.Errorf("%v", warned.said))
	}
	printed, err := project.MarshalJSON()
	if err != nil {
		fail(err)
	}
	fmt.Println(string(printed))
}

// warnings keeps what the library says at the level of a warning or above.
type warnings struct{ said []string }

func (*warnings) Levels() []logrus.Level {
	return []logrus.Level{logrus.WarnLevel, logrus.ErrorLevel}
}

func (kept *warnings) Fire(entry *logrus.Entry) error {
	kept.said = append(kept.said, entry.Message)
	return nil
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "compose:", err)
	os.Exit(1)
}

// The commands of docker that the documentation's readers use, made of buildah: build, push, and run. They work as they
// are called, in a namespace with one user and without a network of the container's own.
//
// The folder TIDEGATE_DOCKER has registries.conf and policy.json (of the formats of containers/image), the images, and
// wheels and pip.conf, which RUN finds as /wheels and /etc/pip.conf. ../docker.py makes it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/containers/buildah"
	"github.com/containers/buildah/define"
	"github.com/containers/buildah/imagebuildah"
	"github.com/containers/common/libnetwork/types"
	"github.com/containers/image/v5/transports/alltransports"
	images "github.com/containers/image/v5/types"
	"github.com/containers/storage"
	"github.com/opencontainers/runtime-spec/specs-go"
	"github.com/sirupsen/logrus"
	"github.com/spf13/cobra"
)

// noNetwork is never asked, for a container has the network of whoever began it; without one, netavark is looked for.
type noNetwork struct{ types.ContainerNetwork }

var sameNetwork = define.NamespaceOptions{{Name: string(specs.NetworkNamespace), Host: true}}

// host is where images are, where they go to, and what containers see of the machine.
type host struct {
	store   storage.Store
	system  *images.SystemContext
	volumes []string
}

func main() {
	if buildah.InitReexec() {
		return
	}
	logrus.SetLevel(logrus.WarnLevel)
	if err := allowSetgroups(); err != nil {
		fail(err)
	}
	here, err := open(os.Getenv("TIDEGATE_DOCKER"))
	if err != nil {
		fail(err)
	}
	docker := &cobra.Command{Use: "docker", SilenceUsage: true, SilenceErrors: true}
	docker.AddCommand(build(here), push(here), run(here))
	err = docker.ExecuteContext(context.Background())
	// The driver vfs mounts nothing, and yet counts what was used as mounted.
	if _, closed := here.store.Shutdown(false); err == nil && !errors.Is(closed, storage.ErrLayerUsedByContainer) {
		err = closed
	}
	if err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "docker:", err)
	os.Exit(1)
}

func open(folder string) (*host, error) {
	if folder == "" {
		return nil, errors.New("TIDEGATE_DOCKER names no folder")
	}
	os.Setenv("TMPDIR", folder)
	in := func(name string) string { return filepath.Join(folder, name) }
	store, err := storage.GetStore(storage.StoreOptions{
		GraphRoot:           in("images"),
		RunRoot:             in("run"),
		GraphDriverName:     os.Getenv("STORAGE_DRIVER"),
		GraphDriverPriority: []string{"overlay", "vfs"}, // the second copies everything, and needs nothing
		GraphDriverOptions:  []string{".ignore_chown_errors=true"},
	})
	system := &images.SystemContext{
		SystemRegistriesConfPath:    in("registries.conf"),
		SystemRegistriesConfDirPath: in("registries.conf.d"),
		SignaturePolicyPath:         in("policy.json"),
		UserShortNameAliasConfPath:  in("short-names.conf"),
		BlobInfoCacheDir:            in("cache"),
		AuthFilePath:                in("auth.json"), // is not there: nobody's own is used
	}
	return &host{store, system, []string{in("wheels") + ":/wheels:ro", in("pip.conf") + ":/etc/pip.conf:ro"}}, err
}

func build(here *host) *cobra.Command {
	command := &cobra.Command{Use: "build CONTEXT", Args: cobra.ExactArgs(1)}
	tag := command.Flags().StringP("tag", "t", "", "the image's name")
	file := command.Flags().StringP("file", "f", "", "the Dockerfile, if it is not CONTEXT/Dockerfile")
	command.RunE = func(command *cobra.Command, args []string) error {
		folder, err := filepath.Abs(args[0])
		if err != nil {
			return err
		}
		if *file == "" {
			*file = filepath.Join(folder, "Dockerfile")
		}
		_, _, err = imagebuildah.BuildDockerfiles(command.Context(), here.store, define.BuildOptions{
			ContextDirectory:       folder,
			Output:                 *tag,
			OutputFormat:           define.Dockerv2ImageManifest,
			Layers:                 true,
			RemoveIntermediateCtrs: true,
			PullPolicy:             define.PullIfMissing,
			Isolation:              define.IsolationChroot,
			Out:                    os.Stdout,
			Err:                    os.Stderr,
			ReportWriter:           os.Stderr,
			SystemContext:          here.system,
			SignaturePolicyPath:    here.system.SignaturePolicyPath,
			NamespaceOptions:       sameNetwork,
			ConfigureNetwork:       define.NetworkDisabled,
			NetworkInterface:       noNetwork{},
			CommonBuildOpts:        &define.CommonBuildOptions{Volumes: here.volumes},
		}, *file)
		return err
	}
	return command
}

func push(here *host) *cobra.Command {
	command := &cobra.Command{Use: "push IMAGE", Args: cobra.ExactArgs(1)}
	command.RunE = func(command *cobra.Command, args []string) error {
		there, err := alltransports.ParseImageName("docker://" + args[0])
		if err != nil {
			return err
		}
		_, _, err = buildah.Push(command.Context(), args[0], there, buildah.PushOptions{
			Store:               here.store,
			SystemContext:       here.system,
			SignaturePolicyPath: here.system.SignaturePolicyPath,
			ReportWriter:        os.Stderr,
		})
		return err
	}
	return command
}

func run(here *host) *cobra.Command {
	command := &cobra.Command{Use: "run IMAGE [ARGUMENT...]", Args: cobra.MinimumNArgs(1)}
	command.Flags().SetInterspersed(false)
	user := command.Flags().StringP("user", "u", "", "another user than the image's")
	entry := command.Flags().String("entrypoint", "", "another program than the image's")
	command.RunE = func(command *cobra.Command, args []string) error {
		container, err := buildah.NewBuilder(command.Context(), here.store, buildah.BuilderOptions{
			FromImage:           args[0],
			PullPolicy:          define.PullNever,
			Isolation:           define.IsolationChroot,
			SystemContext:       here.system,
			SignaturePolicyPath: here.system.SignaturePolicyPath,
			NamespaceOptions:    sameNetwork,
			ConfigureNetwork:    define.NetworkDisabled,
			NetworkInterface:    noNetwork{},
			CommonBuildOpts:     &define.CommonBuildOptions{},
		})
		if err != nil {
			return err
		}
		program, arguments := container.Entrypoint(), args[1:]
		if *entry != "" {
			program = []string{*entry}
		} else if len(arguments) == 0 {
			arguments = container.Cmd()
		}
		err = container.Run(append(program, arguments...), buildah.RunOptions{
			Isolation:        define.IsolationChroot,
			User:             *user,
			NamespaceOptions: sameNetwork,
			ConfigureNetwork: define.NetworkDisabled,
			Terminal:         buildah.WithoutTerminal,
			SystemContext:    here.system,
		})
		return errors.Join(err, container.Delete())
	}
	return command
}

"""`obeyedFile(paths)`: whether programs run or obey a file without anybody asking for it.

Law of this table: a file belongs here if it acts when something else is done: a folder is opened in an
editor or by an agent, a shell or a session begins, git commits or checks out, a change is pushed, the machine
starts, or an ordinary command (`npm install`, `cargo build`) is sent elsewhere by it. What acts when it is
built, tested or run by its name is source code like any other (Makefile, package.json, conftest.py, build.rs,
Dockerfile): whoever may write source code has it run by the next test anyhow.

To add a kind of files: a `FileKind` in `OBEYED_KINDS`, with its examples.
"""

from __future__ import annotations

from mcpguard.core.functions.function import Function
from mcpguard.core.functions.paths.naming import PARAMETERS, FileKind, Naming

OBEYED_KINDS = (
    FileKind(
        "what git runs and obeys",
        "hooks run at a commit or a checkout; settings and attributes name programs to run",
        """
        .git .gitconfig .config/git .gitmodules .gitattributes .git-templates .husky .githooks
        .pre-commit-config.yaml .pre-commit-config.yml .pre-commit-hooks.yaml .overcommit.yml .lintstagedrc*
        lint-staged.config.* .commitlintrc* commitlint.config.* .hg .hgrc .jj .svn lefthook* .lefthook*
        .huskyrc* husky.config.* .simple-git-hooks.* simple-git-hooks.* .git-hooks .lfsconfig .cargo-husky
        .rusty-hook.toml captainhook.json grumphp.yml .ghooks prek.toml .czrc .cz.* .cz-config.* .sl
        .arcconfig .arclint .config/jj .config/lefthook*
        """,
        hits=(
            ".git/hooks/post-checkout", ".gitconfig", ".husky/pre-commit", ".pre-commit-config.yaml",
            ".GIT/config", "sub/.git", "lefthook.yml", ".git./config",
            ".huskyrc.json", ".lfsconfig",
        ),
        misses=(".gitignore", "src/git/config.py", "docs/git.md", ".github.md"),
    ),
    FileKind(
        "hooks by their names",
        "git runs a file of this name in whatever folder its settings call that of hooks",
        """
        hooks/pre-commit hooks/post-commit hooks/commit-msg hooks/prepare-commit-msg hooks/post-checkout
        hooks/post-merge hooks/pre-push hooks/pre-rebase hooks/post-rewrite hooks/pre-receive hooks/update
        hooks/post-receive hooks/post-update hooks/fsmonitor-watchman hooks/post-index-change
        """,
        hits=("x/hooks/pre-push", "bare/hooks/post-checkout"),
        misses=("src/hooks/useUser.ts", "hooks/README.md"),
    ),
    FileKind(
        "definitions of continuous integration and deployment",
        "a push makes somebody else's machine run them, often with its secrets",
        """
        .github .gitea .forgejo .gitlab-ci*.yml .gitlab-ci*.yaml .gitlab .circleci circle.yml .travis.yml
        jenkinsfile* *.jenkinsfile .jenkins azure-pipelines*.yml azure-pipelines*.yaml .azure-pipelines
        .azuredevops bitbucket-pipelines.yml .buildkite .drone.yml .drone.star .woodpecker* .appveyor.yml
        appveyor.yml .cirrus.yml .cirrus.star .semaphore .teamcity .builds .build.yml buildspec.yml
        buildspec.yaml appspec.yml cloudbuild.yaml cloudbuild.yml codemagic.yaml bitrise.yml .tekton
        .concourse .argo .prow.yaml wercker.yml .zuul.yaml .zuul.d netlify.toml vercel.json render.yaml
        fly.toml railway.json railway.toml amplify.yml .platform.app.yaml .readthedocs.yml .readthedocs.yaml
        renovate.json* .renovaterc* codeowners codefresh.yml wrangler.toml heroku.yml .mergify.yml dangerfile*
        procfile .ebextensions .platform nixpacks.toml railpack.json .do/app.yaml .harness buddy.yml .buddy
        bors.toml .kodiak.toml .pullapprove.yml .codeclimate.yml .scrutinizer.yml
        """,
        hits=(
            ".github/workflows/ci.yml", ".gitlab-ci.yml", ".circleci/config.yml", "Jenkinsfile",
            "Jenkinsfile.prod", "azure-pipelines.yml", ".buildkite/pipeline.yml", "CODEOWNERS",
            ".github/actions/x/action.yml",
            "Procfile",
        ),
        misses=(
            ".github/PULL_REQUEST_TEMPLATE.md", ".github/ISSUE_TEMPLATE/bug.yml", "docs/ci.md",
            "src/jenkins.py",
        ),
        but="""
        .github/pull_request_template* .github/issue_template* .github/funding.yml .github/funding.yaml
        .github/readme.md .github/contributing.md .github/code_of_conduct.md .github/security.md
        """,
    ),
    FileKind(
        "what agents obey",
        "instructions, tool servers and hooks that an agent takes up when it starts in a folder",
        """
        agents.md agents.override.md agent.md claude.md claude.local.md gemini.md qwen.md warp.md
        copilot-instructions.md *.instructions.md *.chatmode.md *.prompt.md skill.md .cursorrules
        .windsurfrules .clinerules .roorules* .rules .goosehints .claude .cursor .codex .gemini .continue
        .windsurf .codeium .roo .roomodes .kilocode .kilocodemodes .kiro .amazonq .junie .augment
        .augment-guidelines .qwen .opencode opencode.json opencode.jsonc .agents .agent .aider* .trae
        .zencoder .factory .goose .mcp.json mcp.json .mcp mcp_settings.json cline_mcp_settings.json
        mcp_config.json claude_desktop_config.json .claude.json mcpguard.yaml mcpguard.yml agents.local.md
        crush.md crush.local.md crush.json .crush.json .crush .openhands .openhands_instructions
        firebender.json .firebender .aiassistant .hermes .hermes.md hermes.md .openclaw openclaw.json .pi
        .forge .iflow iflow.md .codebuddy codebuddy.md .tabnine .amp .rovodev replit.md .devin
        .vibe .kimi .antigravity .antigravityrules .cline .serena .jules .qodo .qoder .pr_agent.toml
        .coderabbit.yaml .coderabbit.yml .greptile .sweep.yaml sweep.yaml gptme.toml .gptme .plandex .copilot
        .grok .droid .ruler .rulesync .specify .deepagents .mentat_config.json .cagent cagent.yaml
        .ona .kode *.agent.md *.mdc .claude-plugin
        """,
        hits=(
            "AGENTS.md", "docs/CLAUDE.md", ".mcp.json", ".cursor/rules/a.mdc", ".claude/settings.json",
            ".cursorrules", ".github/copilot-instructions.md", "mcpguard.yaml", "CLAUDE.md.",
            "crush.json", ".openhands/microagents/repo.md", "firebender.json", ".coderabbit.yaml",
        ),
        misses=("docs/agents/index.md", "src/agents.py", "README.md", "claude.py", "src/crush.ts"),
    ),
    FileKind(
        "settings of editors and development environments",
        "tasks that run when a folder is opened, and programs that the editor starts",
        """
        .vscode .vscode-server *.code-workspace .idea .fleet .zed .vs .devcontainer .devcontainer.json
        devcontainer.json .gitpod.yml .gitpod.dockerfile .replit replit.nix .stackblitzrc .codesandbox
        .sandboxrc .idx devfile.yaml .devfile.yaml .vimrc .gvimrc .exrc .nvimrc .nvim.lua .vim _vimrc
        .ideavimrc .emacs .emacs.d .dir-locals.el .dir-locals-2.el .sublime-project *.sublime-project .nanorc
        .gdbinit .lldbinit .radare2rc .kateconfig .run .config/nvim .config/gdb .helix .config/helix
        .spacemacs .lvimrc .vimrc.local .local.vimrc .vimspector.json .projectile .project
        .externaltoolbuilders .settings .theia .nova .atom .lite_project.lua .micro .kakrc .config/zed
        .config/code .config/kak devbox.json .devbox
        """,
        hits=(
            ".vscode/tasks.json", ".idea/workspace.xml", ".devcontainer/devcontainer.json",
            "x.code-workspace", ".vimrc", ".dir-locals.el", ".gdbinit", ".replit",
            "devbox.json",
        ),
        misses=(".editorconfig", "docs/vscode.md", "src/idea.ts"),
    ),
    FileKind(
        "profiles of shells and terminals",
        "they run when a shell begins, or when somebody enters the folder",
        """
        .bashrc* .bash_profile* .bash_login .bash_logout .bash_aliases .bash_completion .bashrc.d .profile
        .profile.d .zshrc* .zshenv .zprofile .zlogin .zlogout .zsh .oh-my-zsh .kshrc .mkshrc .cshrc .tcshrc
        .login .logout .config/fish config.fish .xonshrc .elvish .nushell .config/nushell profile.ps1
        *_profile.ps1 .inputrc .tmux.conf .config/tmux .screenrc .shadowenv.d .envrc .autoenv .env.fish
        mise.toml .mise.toml .mise .config/mise .tool-versions .rtx.toml etc/profile etc/profile.d
        etc/bash.bashrc etc/bashrc etc/zsh etc/environment .pam_environment .xprofile .xinitrc .xsession
        .xsessionrc .dircolors .lesskey .lessfilter .alacritty.toml .kitty.conf .config/kitty .wezterm.lua
        .config/wezterm .hushlogin .direnvrc .bash_sessions .blerc .p10k.zsh .zimrc .zpreztorc .antigenrc
        starship.toml .autoenv.zsh .rvmrc .ondirrc .dirrc .tmuxinator.yml .tmuxp.yaml .zellij .config/zellij
        .config/ghostty
        """,
        hits=(
            "/home/ada/.bashrc", ".zshenv", ".envrc", "etc/profile.d/x.sh", ".config/fish/config.fish",
            "mise.toml", "Microsoft.PowerShell_profile.ps1", ".BASHRC",
            ".p10k.zsh",
        ),
        misses=("docs/bash.md", "profile.py", "src/profile/index.ts"),
    ),
    FileKind(
        "what starts by itself",
        "the machine, the desktop or a scheduler runs it, and a login key lets somebody in",
        """
        crontab crontabs cron.d cron.daily cron.hourly cron.weekly cron.monthly anacrontab spool/at spool/cron
        *.service *.timer systemd/user systemd/system .config/systemd .config/autostart etc/init.d rc.local
        etc/rc.d etc/inittab launchagents launchdaemons startupitems start?menu/programs/startup
        authorized_keys* .ssh .rhosts .shosts hosts.equiv .forward .procmailrc .qmail* etc/sudoers* etc/pam.d
        etc/ld.so.* etc/passwd etc/shadow etc/hosts etc/udev udev/rules.d etc/apt etc/ssh update-motd.d
        etc/logrotate.d dispatcher.d .config/environment.d environment.d .local/share/applications
        mimeapps.list *.desktop dbus-1/services polkit-1 .config/i3 .i3
        .config/sway .config/hypr .config/sxhkd .config/bspwm .config/openbox .config/awesome .config/qtile
        .fluxbox .xmonad .xbindkeysrc .config/plasma-workspace etc/supervisor etc/modprobe.d
        etc/modules-load.d etc/sysctl.d etc/sysctl.conf etc/tmpfiles.d etc/xinetd.d etc/inetd.conf etc/fstab
        etc/nsswitch.conf etc/resolv.conf etc/network etc/networkmanager etc/dhcp etc/ppp etc/acpi etc/x11
        etc/skel etc/group etc/gshadow etc/doas.conf etc/security
        """,
        hits=(
            "/home/ada/.ssh/authorized_keys", "/etc/cron.d/job", "crontab",
            "/etc/systemd/system/x.service", "a/.config/autostart/x.desktop",
            "Library/LaunchAgents/x.plist", "/etc/ld.so.preload", "app.timer",
            ".config/i3/config", "etc/supervisor/conf.d/x.conf",
        ),
        misses=("src/cron/job.ts", "docs/systemd.md", "src/user.service.ts", "src/cron.py", "hosts.yml"),
    ),
    FileKind(
        "settings that send an ordinary command elsewhere",
        "an installation, a build or a start of an interpreter then runs or fetches what they name",
        """
        .npmrc .yarnrc .yarnrc.yml .yarn/releases .yarn/plugins .pnpmfile.* pnpm-workspace.yaml bunfig.toml
        .bunfig.toml .pypirc pip.conf pip.ini .config/pip .condarc uv.toml .config/uv .pydistutils.cfg
        sitecustomize.py usercustomize.py *.pth .pythonrc* pyvenv.cfg .pdbrc .ipython .jupyter .venv/bin
        venv/bin .venv/scripts node_modules/.bin .cargo/config .cargo/config.toml .cargo/bin rust-toolchain
        rust-toolchain.toml .mvn .m2/settings.xml gradle-wrapper.properties gradle-wrapper.jar .gradle .bundle
        .irbrc .pryrc .gemrc .bazelrc nuget.config directory.build.props directory.build.targets .curlrc
        .wgetrc .ripgreprc .docker/config.json .kube/config .aws/config .ansible.cfg ansible.cfg .my.cnf
        .psqlrc .sqliterc .mongorc.js .latexmkrc latexmkrc .noderc .terraformrc terraform.rc .gnupg .ackrc
        .julia/config .sbclrc .clisprc* .lein init.gradle .buckconfig .watchmanconfig .htaccess .user.ini
        .local/bin .rprofile .renviron .octaverc .guile .ghci .sbtopts .jvmopts .mailcap .pnp.* .perldb
        .erlang .iex.exs .ocamlinit .eclrc .swiplrc .duckdbrc .mongoshrc.js .docker/cli-plugins
        .config/containers registries.conf .sops.yaml .sops.yml php.ini .luarocks .stack/config.yaml
        .cabal/config .nuget .dotnet-tools.json dotnet-tools.json .config/helm .config/go/env .config/composer
        .composer/config.json .rustup/settings.toml
        """,
        hits=(
            ".npmrc", ".yarnrc.yml", "venv/lib/site-packages/sitecustomize.py", "x.pth",
            ".cargo/config.toml", "node_modules/.bin/tsc", ".mvn/jvm.config", ".ghci",
            ".pnp.cjs", ".erlang", ".sops.yaml",
        ),
        misses=(
            "package.json", "pyproject.toml", "Makefile", "conftest.py", "Cargo.toml", "requirements.txt",
            "Dockerfile", "tsconfig.json",
        ),
    ),
)  # fmt: skip
"""All kinds of files that act without being asked. Sources: the manuals of the programs that obey them."""

OBEYED = Naming("obeyedFile", OBEYED_KINDS, folders="node_modules venv")
"""Reads paths for `obeyedFile`."""

OBEYED_FILE = Function(
    name="obeyedFile",
    summary="Whether programs run or obey a file without anybody asking for it, as its name or that of a "
    "folder on its way says: one of [these kinds](names.md#obeyedfile). A file belongs to them if it "
    "acts when something else is done: a folder is opened, a shell begins, git commits, a change is "
    "pushed. What acts when somebody builds, tests or runs it (`Makefile`, `package.json`, "
    "`conftest.py`) is source code and does not. Paths are read as by `secretName`: lists of them, "
    "globs, variables and folders, too. False means that the name is not known.",
    parameters=PARAMETERS,
    gives="a bool",
    call=OBEYED.of,
    examples=(
        'obeyedFile("/srv/app/.git/hooks/pre-commit") && obeyedFile("sub/.GIT./config")',
        'obeyedFile([".github/workflows/ci.yml", "Jenkinsfile", ".circleci/config.yml"])',
        'obeyedFile("docs/AGENTS.md") && obeyedFile(".mcp.json") && obeyedFile(".vscode/tasks.json")',
        'obeyedFile(["/home/ada/.bashrc", ".envrc", "/home/ada/.ssh/authorized_keys"])',
        '!obeyedFile(["Makefile", "package.json", "conftest.py", "Rakefile", ".gitignore", "src/[id].ts"])',
        '!obeyedFile(".github/PULL_REQUEST_TEMPLATE.md")',
        '!obeyedFile(".venv") && obeyedFile([".venv", "web/node_modules"], "folder")',
    ),
    errors=(
        'obeyedFile("")',
        "obeyedFile([])",
        'obeyedFile(["a.py", ".envrc"])',
        'obeyedFile("*")',
        'obeyedFile(".[g]it/config")',
    ),
)

"""`secretName(paths)`: whether the name of a file, or of a folder on its way, says that it holds secrets.

Law of this table: broad classes rather than single names; samples (`.env.example`) are not meant, since
those are what an agent should read instead. To add a kind of files: a `FileKind` in `SECRET_KINDS`, with its
examples.
"""

from __future__ import annotations

from mcpguard.core.functions.function import Function
from mcpguard.core.functions.paths.naming import PARAMETERS, FileKind, Naming

SECRET_KINDS = (
    FileKind(
        "environment files",
        "passwords and tokens of an application, read when it starts",
        """
        .env* *.env *.env.local _env env.local env.production env.prod .dev.vars .envrc* local.settings.json
        appsettings.production*.json application-prod*.yml application-prod*.yaml application-prod*.properties
        *.env.json *.env.yml *.env.yaml *.env.txt
        """,
        hits=(
            ".env", "deploy/.env.local", ".ENV.production", "prod.env", ".envrc", ".env~", "a/.env#1",
            ".dev.vars",
            "config/prod.env.json",
        ),
        misses=(
            ".env.example", "env.md", "environment.yml", "src/env.ts", "example.env", ".env.sample.bak",
        ),
        but="""
        .env*example* .env*sample* .env*template* .env*.dist .env*.tpl .env*.schema .env*.defaults .env.d.ts
        *example*.env *sample*.env *template*.env
        """,
    ),
    FileKind(
        "private keys and keystores",
        "whoever has one can sign, decrypt or log in as its owner",
        """
        *.key *.pem *.p12 *.pfx *.pkcs12 *.p8 *.pk8 *.ppk *.jks *.jceks *.bcfks *.keystore *.keytab *.priv
        *.privkey privkey* *privatekey* *private-key* *private_key* *id_rsa* *id_dsa* *id_ecdsa* *id_ed25519*
        *_rsa *_ed25519 *_ecdsa ssh_host_*_key *.ovpn *.agekey secring.* *.asc.key *.snk *.private deploy_key
        deploykey deploy-key *_deploy_key *-key.json *_key.json rootkey.csv *accesskey* *access_key*
        *access-key* *.key.txt *.pem.txt
        """,
        hits=(
            "tls/server.key", "server.pem.bak", "my_id_rsa~", "id_ed25519", "release.keystore",
            "deploy_ed25519", "a.p12", "AuthKey_7.p8", "private_key.txt",
            "server.key.txt",
        ),
        misses=(
            "id_rsa.pub", "ssl/fullchain.pem", "keys.md", "keyboard.ts", "private_key_test.go",
            "server.crt",
        ),
        but="""
        *.pub fullchain* chain.pem cacert.pem ca-bundle* ca-certificates* *private*key*.md *public*.pem
        *public*.key cert.pem ca.pem *-ca.pem
        """,
    ),
    FileKind(
        "SSH, GnuPG and VPN folders",
        "keys, and the hosts that they open",
        """
        .ssh .gnupg gnupg private-keys-v1.d etc/ssl/private ssl/private etc/wireguard etc/openvpn
        etc/ipsec.d ipsec.secrets system-connections wpa_supplicant*.conf etc/sops sops/age
        """,
        hits=("/home/ada/.ssh/config", ".gnupg/trustdb.gpg", "/etc/wireguard/wg0.conf"),
        misses=("docs/ssh.md", "src/gnupg.py", "/etc/ssl/certs/ca.crt"),
    ),
    FileKind(
        "credentials of clouds",
        "access to accounts, machines and storage",
        """
        .aws .azure .kube kubeconfig* *.kubeconfig .config/gcloud .gcloud .oci .aliyun .ibmcloud .bluemix
        .tccli .config/doctl .config/hcloud .config/rclone rclone.conf .s3cfg .boto .fly .heroku
        .config/heroku .config/netlify .databrickscfg .snowsql application_default_credentials.json
        *service-account*.json *service_account*.json *serviceaccount*.json *firebase-adminsdk*.json
        gcp-key*.json .edgerc etc/kubernetes etc/rancher .linode-cli .config/linode-cli .config/.wrangler
        .config/op .op .passwd-s3fs kube.config *kubeconfig.yaml *kubeconfig.yml k3s.yaml .snowflake
        .config/flyctl .railway .config/ngrok .ngrok2 ngrok.yml .cloudflared .config/cloudflared .wrangler
        .cf/config.json .okta .saml2aws .config/helm/registry aws/credentials gha-creds-*.json
        """,
        hits=(
            "~/.aws/credentials", "service-account-prod.json", "kubeconfig-dev", ".kube/config",
            ".config/gcloud/x.db", ".snowflake/config.toml", "prod-kubeconfig.yaml", ".cloudflared/cert.pem",
            "aws/credentials",
        ),
        misses=("docs/aws.md", "src/azure/client.py", "k8s/deployment.yaml", "service-account.md"),
    ),
    FileKind(
        "credentials of tools",
        "tokens with which tools publish, deploy, or call an API",
        """
        .npmrc .pypirc .gem/credentials .bundle/config .cargo/credentials* .composer/auth.json auth.json
        .m2/settings*.xml settings-security.xml .gradle/gradle.properties .ivy2/.credentials .hex/hex.config
        .docker/config.json .docker/contexts .dockercfg .dockerconfigjson containers/auth.json .netrc _netrc
        .git-credentials git/credentials .git/config .config/gh .config/hub .config/glab-cli
        .config/configstore .vault-token .vault_pass* *vault_pass* *vault-pass* .consul-token .nomad-token
        .terraform.d/credentials* .terraformrc terraform.rc .pulumi/credentials.json .sentryclirc .slack
        .twilio-cli .stripe .config/stripe .jupyter/*.json .kaggle huggingface/token .cache/huggingface/token
        .authinfo* .smbcredentials .ftpconfig sftp-config.json .vscode/sftp.json .remote-sync.json
        filezilla.xml recentservers.xml sitemanager.xml winscp.ini .msmtprc .fetchmailrc .claude.json
        claude_desktop_config.json .claude/.credentials.json .codex/auth.json .slackrc .netlify
        .config/github-copilot .continue/config.* kaggle.json .curlrc .wgetrc .lftprc .condarc pip.conf
        .config/pip .config/pypoetry .config/nix/nix.conf .subversion/auth .cvspass .hgrc .sbt/credentials
        .sbt/.credentials .bintray .jira.d .gitlab-runner .config/tea .erlang.cookie .vnc/passwd .remmina
        .mbsyncrc .offlineimaprc .mutt/passwords .purple .odbc.ini .renviron .xauthority .rhosts
        docker-config.json .auth/*.json storagestate.json key.properties keystore.properties
        signing.properties .restic?password restic?password .config/borg .dbeaver .config/dbeaver
        .local/share/dbeaverdata .netrc.*
        """,
        hits=(
            "/home/ada/.npmrc", ".docker/config.json", ".netrc", ".vault-token", ".git-credentials",
            ".git/config", "auth.json", ".terraform.d/credentials.tfrc.json", ".config/gh/hosts.yml",
            ".Renviron", ".curlrc", "playwright/.auth/user.json", "android/key.properties", ".erlang.cookie",
            ".dbeaver/credentials-config.json",
            ".netrc.gpg",
        ),
        misses=(".docker/Dockerfile", "docs/npmrc.md", "package.json", ".mcp.json", ".git/HEAD"),
    ),
    FileKind(
        "files that are called secrets",
        "somebody gave it that name because of what is in it",
        """
        credentials.* credential.* *-credentials.* *_credentials.* .credentials* *secret*.json *secret*.yaml
        *secret*.yml *secret*.toml *secret*.txt *secret*.env *secret*.properties *secret*.ini *secret*.cfg
        *secret*.conf *secret*.xml *secret*.csv *secret*.xlsx .secret .secrets *.secret *.secrets secrets.enc
        *passwd*.txt .password* *.password *passphrase* *.token .token token.txt token.json *_token *api_key*
        *apikey* *api-key* credentials.xml hudson.util.secret master.key vault.yml vault.yaml run/secrets
        run/credentials pgpass.conf *_credentials *-credentials *creds.json *creds.txt *-token .*token
        *-token.txt *_token.txt secrets/*.yaml secrets/*.yml secrets/*.json secrets/*.txt *passwords.txt
        *password.txt *passwords.csv *password.csv *passwords.json *password.json *passwords.yaml
        *passwords.yml *passwords.xlsx *passwords.docx *_passwd *.passwd recovery-codes* recovery_codes*
        backup-codes* backup_codes* *seed-phrase* *seed_phrase* mnemonic* totp.txt 2fa*.txt *_token.json
        *-token.json group_vars/*/vault host_vars/*/vault tokens.txt *secrets.zip *secrets.tar* *secrets.7z
        *secret*.gpg *secret*.age *credentials.zip
        """,
        hits=(
            "credentials.json", "config/secrets.yml", "client_secret_1.json", "k8s/db-secret.yaml",
            "passwords.txt", "/run/secrets/db", "token.json", "api_key.txt", ".github-token", ".credentials",
            "aws-credentials.csv",
            "group_vars/all/vault",
            "secrets.tar.gz",
        ),
        misses=(
            "src/secret.py", "secrets.md", "src/credentials/index.ts", "password_reset.html",
            "tokens.json", "secrets.example.yaml", "charts/templates/secret.yaml",
            "src/api_key_test.go", "tokenizer.json",
        ),
        but="""
        *example* *sample* *template* *.schema.json *schema*.json templates/*secret*.yaml
        templates/*secret*.yml i18n/* i18n/*/* locales/* locales/*/* lang/* lang/*/*
        """,
    ),
    FileKind(
        "state and variables of infrastructure",
        "passwords and keys in the clear, as a tool of deployment has them",
        """
        *.tfstate *.tfstate.* *.tfvars *.tfvars.json *.tfplan *.pkrvars.hcl
        """,
        hits=("terraform.tfstate", "infra/prod.tfvars", "terraform.tfstate.backup", "prod.auto.tfvars"),
        misses=("main.tf", "terraform.tfvars.example", "variables.tf", "example.tfvars"),
        but="""
        *example* *sample*
        """,
    ),
    FileKind(
        "histories",
        "what somebody typed, passwords too",
        """
        .*_history .*history .zhistory .histfile .history .lesshst .viminfo* fish_history
        consolehost_history.txt rediscli_history bash_history zsh_history mysql_history psql_history
        .bash_sessions .zsh_sessions .aider.chat.history* .claude/projects .claude/history.jsonl
        .codex/sessions .codex/history.jsonl .gemini/tmp .crush/crush.db
        """,
        hits=(
            "/root/.bash_history", ".zsh_history", ".psql_history", ".python_history",
            ".node_repl_history", "ConsoleHost_history.txt",
            ".codex/sessions/2026/a.jsonl",
        ),
        misses=("HISTORY.md", "src/history.py", "search_history.json"),
    ),
    FileKind(
        "passwords of databases and web servers",
        "logins, or the hashes of passwords",
        """
        .pgpass .pg_service.conf .my.cnf .mylogin.cnf .dbshell .mongorc.js .htpasswd* .htdigest* htpasswd
        wp-config.php localsettings.php settings.local.php dbconfig.xml tnsnames.ora sqlnet.ora database.yml
        configuration.php config.inc.php parameters.yml db.properties
        jdbc.properties hibernate.cfg.xml
        """,
        hits=(".pgpass", ".my.cnf", "www/.htpasswd", "wp-config.php", "config/database.yml"),
        misses=("schema.sql", "my.cnf.md", "wp-config-sample.php"),
    ),
    FileKind(
        "stores of browsers, password managers and wallets",
        "saved passwords, cookies of sessions, keys of money",
        """
        login?data* web?data cookies.sqlite* cookies.txt cookies.json cookiejar* network/cookies
        default/cookies logins.json key3.db key4.db signons.sqlite .mozilla .thunderbird
        .config/google-chrome* .config/chromium .config/bravesoftware .config/microsoft-edge* google/chrome
        application?support/firefox .password-store *.kdbx *.kdb *.1pif *.1pux *.opvault *.agilekeychain
        bitwarden*.json .config/bitwarden* library/keychains *.keychain *.keychain-db .local/share/keyrings
        *.keyring kwalletd *.kwl microsoft/credentials microsoft/protect microsoft/vault wallet.dat .bitcoin
        .electrum ethereum/keystore utc--* solana/id.json .config/signal tdata local?state lastpass*.csv
        dashlane*.csv 1password*.csv keychain.db .config/slack .config/discord wallet.json
        """,
        hits=(
            "Library/Keychains/login.keychain-db", "x/key4.db", "passwords.kdbx", "Default/Login Data",
            "/home/a/.mozilla/firefox/p/prefs.js", "cookies.sqlite", "wallet.dat",
        ),
        misses=("src/cookies/index.ts", "docs/keychain.md", "wallet.ts", "key.ts"),
    ),
    FileKind(
        "secrets of the system",
        "passwords of accounts, the memory and the environment of processes",
        """
        etc/shadow* etc/gshadow* shadow- gshadow* master.passwd etc/security/opasswd etc/sudoers* krb5cc_*
        proc/*/environ proc/*/mem proc/*/cmdline proc/*/maps proc/*/fd proc/*/root proc/*/cwd proc/*/task
        proc/kcore dev/mem dev/kmem system32/config ntds.dit unattend.xml sysprep.inf *.hprof *.heapsnapshot
        *.mdmp *.core
        """,
        hits=(
            "/etc/shadow", "/proc/self/environ", "/proc/1/root/etc/x",
            "C:\\Windows\\System32\\config\\SAM", "/etc/x/../shadow",
            "heap.hprof",
        ),
        misses=("/etc/hosts", "/proc/cpuinfo", "src/shadow.css", "src/config/system.ts"),
    ),
)  # fmt: skip
"""All kinds of files that hold secrets. Sources: the manuals of the programs that write them."""

PLAIN = (
    ".py", ".pyi", ".js", ".mjs", ".cjs", ".jsx", ".ts", ".mts", ".cts", ".tsx", ".vue", ".svelte", ".go",
    ".rs", ".java", ".kt", ".scala", ".clj", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".fs", ".rb", ".php",
    ".pl", ".pm", ".lua", ".swift", ".m", ".dart", ".ex", ".exs", ".erl", ".hs", ".ml", ".r", ".jl", ".zig",
    ".nim", ".sol", ".sh", ".bash", ".zsh", ".fish", ".ps1", ".sql", ".css", ".scss", ".less", ".html",
    ".htm", ".md", ".mdx", ".rst", ".adoc", ".tex", ".tf", ".proto", ".graphql",
)  # fmt: skip
"""Endings of source code and of texts about it: there a word such as `secret` is what they are about."""

SECRETS = Naming("secretName", SECRET_KINDS, PLAIN, "secrets group_vars host_vars")
"""Reads paths for `secretName`."""

SECRET_NAME = Function(
    name="secretName",
    summary="Whether the name of a file, or of a folder on its way, says that it holds secrets: one of "
    "[these kinds](names.md#secretname). Case, trailing dots and spaces, `\\`, `::$DATA`, escapes (`%2e`), "
    "invisible characters and what copies append (`.bak`, `~`, ` (1)`) hide nothing. A file that ends "
    "like source code or a text about it (`secret.py`, `secrets.md`) is known by an exact name alone. "
    "For a list of paths it is true if all are and false if none is; an empty list, or one in which "
    "only some are, is an error, and so is a path where the answer depends on a glob, braces or a "
    'variable. With `"folder"` as `taken` a folder that is known to hold such files counts, too: `.docker`. '
    "False means that the name is not known: files are not read, and links are not followed.",
    parameters=PARAMETERS,
    gives="a bool",
    call=SECRETS.of,
    examples=(
        'secretName("/srv/app/.env") && secretName("deploy/prod.ENV") && !secretName(".env.example")',
        'secretName("/home/ada/.ssh/known_hosts") && secretName("/etc/x/../shadow")',
        'secretName(["tls/server.key", "server.pem.bak", "id_rsa (1)"])',
        'secretName("terraform.tfstate") && secretName(".bash_history") && secretName("db-secret.yaml")',
        'secretName(".env::$DATA") && secretName("C:\\\\app\\\\.env. ") && secretName("/srv/%2eenv")',
        '!secretName(["src/secret.py", "docs/secrets.md", "src/[id]/page.tsx", "id_rsa.pub"])',
        '!secretName("src/*.py") && !secretName("$HOME/src/main.go")',
        '!secretName(".docker") && secretName([".docker", "deploy/secrets"], "folder")',
    ),
    errors=(
        'secretName("")',
        "secretName([])",
        'secretName(["README.md", ".env"])',
        'secretName("config/*")',
        'secretName(".e[n]v")',
        'secretName("{a,.env}")',
        'secretName("$FILE")',
    ),
)

"""The programs that shell() knows, one line each: `notation.py` says how to read a line, and how to add one.

Law of this file: a positive list. A program that is not here may run anything, and an option that is not here
is not harmless. An option stands here only if it does the same, or less, in GNU, BusyBox and BSD; where they
differ in whether it takes an argument, that argument counts as a file. Sources: the programs' manuals.
"""

from __future__ import annotations

from functools import cache

from mcpguard.core.functions.shell.notation import Usage, lines, parse

READERS = """
:,true,false,echo,expr,seq,sleep,yes,free,nproc,arch,tty,logname,hostid,uptime,ps,clear,times * T
jobs x -lnprs
printf,test,[,exit,return,shift,break,continue * own T
cd own t -LP
pushd,popd own t
pwd * -LP --logical --physical
umask changes t -S
type,which,whereis * t -afpPtw
basename * t -as:z --multiple --suffix= --zero
dirname * t -z --zero
pathchk * t -pP --portability
realpath * r -eEmLPqsz --canonicalize-existing --canonicalize-missing --logical --physical --quiet
    --strip --no-symlinks --zero --relative-to= --relative-base=
readlink * r -femnqsvz --canonicalize --canonicalize-existing --canonicalize-missing --no-newline --quiet
    --silent --verbose --zero
cat * r -AbeEnstTuv --show-all --number-nonblank --show-ends --number --squeeze-blank --show-tabs
    --show-nonprinting
tac * r -brs: --before --regex --separator=
rev * r -0
nl * r -b:d:f:h:i:l:n:ps:v:w: --body-numbering= --number-format= --number-width= --number-separator=
    --starting-line-number= --line-increment=
head,ghead * r -c:n:qvz# --bytes= --lines= --quiet --silent --verbose --zero-terminated
tail,gtail * r -c:n:b:fFqrs:vz# --bytes= --lines= --follow? --quiet --silent --verbose --zero-terminated
    --retry --pid= --sleep-interval= --max-unchanged-stats=
wc,gwc * r -clLmw --bytes --chars --lines --words --max-line-length --total= --files0-from=@
cut,gcut * r -b:c:d:f:nsz --bytes= --characters= --delimiter= --fields= --complement --only-delimited
    --output-delimiter= --zero-terminated
tr,gtr * t -cCdstu --complement --delete --squeeze-repeats --truncate-set1
sort,gsort * r -bcCdfghiMmnRrsuVzk:t:S:o>T! --ignore-leading-blanks --dictionary-order --ignore-case
    --general-numeric-sort --ignore-nonprinting --month-sort --human-numeric-sort --numeric-sort
    --random-sort --reverse --sort= --version-sort --check? --debug --key= --merge --stable
    --buffer-size= --unique --field-separator= --zero-terminated --parallel= --batch-size=
    --random-source=< --files0-from=@ --output=> --temporary-directory=! --compress-program=!
uniq,guniq * rw -cdDiuzf:s:w:# --count --repeated --all-repeated? --skip-fields= --group? --ignore-case
    --skip-chars= --unique --zero-terminated --check-chars=
comm * r -123iz --check-order --nocheck-order --output-delimiter= --total --zero-terminated
join * r -a:e:i1:2:j:o:t:v:z --header --check-order --nocheck-order --ignore-case --zero-terminated
paste * r -d:sz --delimiters= --serial --zero-terminated
fold * r -bcsw:# --bytes --spaces --width=
fmt * r -cp:stuw:g:# --crown-margin --prefix= --split-only --tagged-paragraph --uniform-spacing --width=
    --goal=
expand,unexpand * r -aift:# --all --first-only --initial --tabs=
column * r -tns:o:c:xeN:JR:H:T:W:O: --table --separator= --output-separator= --output-width= --fillrows
    --table-columns= --json --table-right= --table-hide= --table-truncate=
pr * r -acdD:e?fFh:i?Jl:mn?N:o:rs?S?tTvw:W:# --across --header= --length= --merge --omit-header --width=
shuf,gshuf * r -ei:n:rzo> --echo --input-range= --head-count= --repeat --zero-terminated
    --random-source=< --output=>
tsort,factor * r
ls,gls * r -1aAbBcCdefFgGhHiklLmnNoOpqQrRsStuUvxXZI<T<w< --all --almost-all --author --escape
    --block-size= --ignore-backups --color? --directory --classify? --file-type --format= --full-time
    --group-directories-first --no-group --human-readable --si --dereference-command-line --dereference
    --hide= --hyperlink? --indicator-style= --inode --ignore= --kibibytes --numeric-uid-gid --literal
    --hide-control-chars --show-control-chars --quote-name --quoting-style= --reverse --recursive --size
    --sort= --time= --time-style= --width= --context --zero
dir,vdir * r -1aAbBcCdfFgGhHiklLmnNopqQrRsStuUvxXZ --all --color? --human-readable
eza,exa * r -1abdDfFgGhHilLmnrRSs:tTuUxL:I: --all --long --tree --level= --git --header --icons? --sort=
    --color= --oneline --reverse --group --recurse --only-dirs --only-files --ignore-glob= --git-ignore
    --no-permissions
stat,gstat * r -c:fFLlnqrstxz --dereference --file-system --cached= --format= --printf= --terse
file * r -0bdEhikLnNp^rsSve:F:P:m@f@C!z!Z! --brief --mime --mime-type --mime-encoding --apple --extension
    --exclude= --separator= --keep-going --dereference --no-dereference --no-buffer --no-pad
    --preserve-date --print0 --raw --special-files --magic-file=@ --files-from=@ --compile! --uncompress!
    --uncompress-noreport!
du,gdu * r -0aAbcDghHklLmnPrsSxB:d:t:I:X< --null --all --apparent-size --block-size= --bytes --total
    --dereference-args --max-depth= --human-readable --inodes --si --dereference --no-dereference
    --one-file-system --separate-dirs --summarize --threshold= --time? --time-style= --exclude=
    --exclude-from=< --files0-from=@
df,gdf * r -abghHiklmPTB:t:x: --all --block-size= --human-readable --inodes --local --portability
    --output? --total --type= --print-type --exclude-type= --si
tree * r -aAcCdDfFghiJlnNpqQrsStuUvxXL:P:I:H:T:o>R! --charset= --dirsfirst --filesfirst --du --filelimit=
    --gitignore --gitfile=< --ignore-case --inodes --device --matchdirs --noreport --nolinks --fromfile&
    --prune --si --sort= --timefmt= --metafirst --infofile=< --output=>
find,gfind inner
locate,mlocate,plocate * t -0bceil:n:pqr:w --all --basename --count --existing --ignore-case --limit=
    --regex --regexp=
fd,fdfind * tr -0agHIiLpsuFqt:E:d:e:c:S:j:o:1X!x!l! --hidden --no-ignore --case-sensitive --ignore-case
    --glob --regex --fixed-strings --absolute-path --follow --full-path --max-depth= --min-depth=
    --exact-depth= --type= --extension= --exclude= --color= --size= --changed-within= --changed-before=
    --max-results= --print0 --search-path=< --base-directory=! --ignore-file=< --exec! --exec-batch!
    --list-details!
grep,egrep,fgrep,ggrep,gegrep * tr -aA:bB:cC:d:D:e:~Ef<~FGhHiIJlLm:noOpPqrRsSTuUvVwxXyzZ#
    --extended-regexp --fixed-strings --basic-regexp --perl-regexp --regexp=~ --file=<~ --ignore-case
    --no-ignore-case --invert-match --word-regexp --line-regexp --count --color? --colour?
    --files-with-matches --files-without-match --max-count= --only-matching --quiet --silent
    --no-messages --byte-offset --with-filename --no-filename --label= --line-number --initial-tab --null
    --null-data --after-context= --before-context= --context= --text --binary-files= --binary --devices=
    --directories= --exclude= --exclude-from=< --exclude-dir= --include=% --recursive
    --dereference-recursive --line-buffered
rg * tr -aA:bB:cC:e:~E:f<~Fg%hHiIj:lLm:M:nNoPpqr:sSt:T:uUvVwx.z!0d: --after-context= --before-context=
    --context= --case-sensitive --ignore-case --smart-case --color= --colors= --column --no-column
    --count --count-matches --crlf --encoding= --file=<~ --files~ --files-with-matches
    --files-without-match --fixed-strings --follow --glob=% --iglob=% --heading --no-heading --hidden
    --ignore-file=< --invert-match --json --line-number --no-line-number --line-regexp --max-columns=
    --max-count= --max-depth= --max-filesize= --mmap --multiline --multiline-dotall --no-config
    --no-ignore --no-ignore-vcs --no-messages --null --only-matching --passthru --pcre2 --pretty --quiet
    --regexp=~ --replace= --sort= --sortr= --stats --text --threads= --trim --type= --type-not=
    --type-list --type-add=% --unrestricted --vimgrep --with-filename --no-filename --word-regexp --pre=!
    --pre-glob= --hostname-bin=! --search-zip!
ag * obeys tr -A:B:C:acfG!hHilLmnoQrsStuUvwz! --nocolor --color --hidden --literal --ignore= --ignore-dir=
    --count --files-with-matches --ignore-case --smart-case --word-regexp --nogroup --nobreak --noheading
    --nopager --pager=! --search-zip! --path-to-ignore=<
diff,gdiff * r -abBcdeEiNnpqrstTuvwyZC:D:F:I:L:S:U:W:x:X<l!# --normal --brief --report-identical-files
    --context? --unified? --ed --rcs --side-by-side --width= --left-column --suppress-common-lines
    --show-c-function --show-function-line= --label= --expand-tabs --initial-tab --recursive
    --no-dereference --new-file --unidirectional-new-file --ignore-file-name-case --exclude=
    --exclude-from=< --starting-file= --from-file=< --to-file=< --ignore-case --ignore-tab-expansion
    --ignore-trailing-space --ignore-space-change --ignore-all-space --ignore-blank-lines
    --ignore-matching-lines= --text --strip-trailing-cr --ifdef= --minimal --color? --paginate!
cmp * r -bi:ln:s --print-bytes --ignore-initial= --verbose --bytes= --quiet --silent
md5sum,sha1sum,sha224sum,sha256sum,sha384sum,sha512sum,b2sum,cksum,sum,shasum,md5 * r -a:bl:qrs<tzUc&
    --binary --text --tag --zero --length= --algorithm= --untagged --raw --base64 --ignore-missing
    --quiet --status --strict --warn --check&
base64,base32,basenc * r -dDiw: --decode --ignore-garbage --wrap= --base64 --base64url --base32 --base16
    --z85
od * r -A:abcdefhiIj:lLN:oOsS:t:vw?xX --address-radix= --skip-bytes= --read-bytes= --format= --strings?
    --output-duplicates --width?
hexdump,hd * r -bcCde:f<n:os:vx --canonical --length= --skip=
xxd * rw -abc:Ceg:Eil:n:o:pPrR:s:u
strings * a -ade:fn:ost:wU:# --all --bytes= --radix= --encoding= --print-file-name
nm,size a -aABCDdfgnoprStuV --demangle --dynamic --extern-only --size-sort
readelf a -aAcCDdehIlnrsSuVW --all --file-header --sections --symbols --wide
zcat,gzcat,bzcat,xzcat,zstdcat,lz4cat r -fqv
zipinfo r -12aCChlmMstTvz
jq,gojq,jaq own tr -acCehjMnrRsSb --raw-output --compact-output --null-input --slurp --raw-input
    --exit-status --sort-keys --color-output --monochrome-output --tab --indent= --ascii-output
    --join-output --arg=:: --argjson=:: --slurpfile=:< --rawfile=:< --args --jsonargs --stream --seq
    --raw-output0 --unbuffered
bat,batcat * r -AnpPr:l:H:d --show-all --plain? --language= --highlight-line= --diff --diff-context=
    --tabs= --wrap= --number --color= --decorations= --paging= --style= --theme= --line-range=
    --file-name= --pager=! --generate-config-file! --lessopen!
awk,gawk,mawk,nawk,original-awk * own tr -F:v:f!i!l!E!e!D!o!p!d! --field-separator= --assign= --file=!
    --include=! --load=! --exec=! --source=! --debug! --dump-variables! --pretty-print! --profile!
sed,gsed * own tr -nErsuze:~i!f! --quiet --silent --regexp-extended --separate --unbuffered --null-data
    --posix --sandbox --expression=~ --debug --in-place! --file=!
date,gdate * own t -ujnRI?d:v:r<f@s! --date= --debug --iso-8601? --rfc-email --rfc-3339= --utc
    --universal --reference=< --file=@ --set=!
cal,ncal * t -1356hjmMnwyYA:B: --monday --sunday --three --year --week
hostname x -AdfiIsy --fqdn --short --long --ip-address --all-ip-addresses --domain
uname,guname * -asnrvmpio --all --kernel-name --nodename --kernel-release --kernel-version --machine
    --processor --hardware-platform --operating-system
whoami,users,groups * t
id,gid * t -aAGgnpPruz --group --groups --name --real --user --zero
who,w * r -abdfhHilmopqrsTtuw --all --count --heading
last,lastb,lastlog * t -adFiwxn:u:# --hostlastx --time-format=
printenv * t -0 --null
getconf t -a
getent sends t -s:
locale * t -amckv --all-locales --charmaps --verbose --keyword-name --category-name
top t -bcHSin:p:u:U:d:o:w?#
pgrep,pidof * t -acdflnoPsuvwxg:G:t:i --full --list-name --list-full --newest --oldest --exact --count
    --euid= --ignore-case
lsof r -aci?lnOPp:s?tu:RUwd:g?
vmstat,iostat,mpstat * t -adhkmnNpstwxyz -P: -S:
lscpu,lsblk,lsusb,lspci,lsmod,lsns,lsipc * r -abfJlmnOpPrstvxe?o: --json --list --all --output= --fs
    --bytes
dmesg -ekLPrtTuxwl:f: --kernel --ctime --level= --facility= --follow --nopager --color?
netstat t -acefgilmnoprstuvwWxX46I:
ss t -0460aAbdeEhHiIlmnOoprRsStTuwxZz --tcp --udp --listening --numeric --processes --all --summary
ifconfig tx -a
arp -an
ping,ping6 sends t -46aAbc:dDi:I:lM:nOqs:t:vW:w:
host sends t -46aCdlNrstTvwW:R:m:c:t:
nslookup sends T
dig sends t -46b:c:p:q:t:x:u
whois sends t -h:p:
traceroute,tracepath,mtr sends t -46nm:q:w:p:rbc:
"""
"""Programs that read."""

WRITERS = """
rm,grm * changes w -dfiIPrRvWx --force --interactive? --one-file-system --no-preserve-root
    --preserve-root? --recursive --dir --verbose
rmdir,unlink * changes w -pv --parents --verbose --ignore-fail-on-non-empty
mkdir,gmkdir * changes w -pvm:Z --parents --verbose --mode= --context?
touch,gtouch * changes w -acfhmd:t:r< --date= --reference=< --no-create --no-dereference --time=
cp,gcp * changes rW -acdfHiklLnNpPrRsTuvxXZt> --archive --attributes-only --copy-contents
    --force --interactive --link --dereference --no-clobber --no-dereference --preserve? --no-preserve=
    --parents --recursive --reflink? --remove-destination --sparse= --strip-trailing-slashes
    --symbolic-link --target-directory=> --no-target-directory --update? --verbose
    --one-file-system
mv,gmv * changes w -fhinTuvZt> --force --interactive --no-clobber
    --strip-trailing-slashes --target-directory=> --no-target-directory --update? --verbose
ln,gln * changes rW -dfFhiLnPrsTvwt> --directory --force --interactive --logical
    --no-dereference --physical --relative --symbolic --target-directory=>
    --no-target-directory --verbose
tee,gtee * changes w -aip --append --ignore-interrupts --output-error?
truncate * changes w -cos:r< --no-create --io-blocks --reference=< --size=
shred * changes w -fn:s:uvxz --force --iterations= --size= --remove? --verbose --exact --zero
mktemp,mkfifo,mknod * changes w -dqtum:p>Z --directory --dry-run --quiet --suffix= --tmpdir? --mode=
chmod,chown,chgrp,gchmod,gchown * changes tw -cfhHLnPRvr~w~x~X~s~t~u~g~o~ --changes --quiet --silent
    --verbose --recursive --reference=<~ --from= --dereference --no-dereference --preserve-root
    --no-preserve-root
dd * changes own T
kill,pkill,killall,skill,renice,ulimit,stty,sync,wall,write,disown,fg,bg,suspend,logout,reset * changes T
shutdown,reboot,halt,poweroff,mount,umount,swapon,swapoff,mkfs,fdisk,parted,modprobe,insmod,rmmod,sysctl,
    iptables,nft,useradd,usermod,userdel,groupadd,passwd,chpasswd,visudo,chsh,hostnamectl,timedatectl,
    loginctl,setfacl,chattr,setfattr changes x
export,declare,typeset,local,readonly,unset,read,integer,float,private changes T
"""
"""Programs whose name says that they change something."""

SENDERS = """
curl sends own t -0123468afgGijkLnNpqRsSvVZx:A:b<d:e:E<F:H:m:P:r:t:T<u:U:w:X:y:Y:z:o>O!J!K!c>C!D> --url=
    --header= --request= --data= --data-raw= --data-binary= --data-urlencode= --data-ascii= --json=
    --form= --form-string= --user= --user-agent= --referer= --get --head --include --insecure --location
    --location-trusted --max-time= --connect-timeout= --retry= --retry-delay= --retry-max-time=
    --retry-all-errors --retry-connrefused --silent --show-error --fail --fail-with-body --verbose
    --compressed --http1.1 --http2 --http3 --ipv4 --ipv6 --max-redirs= --range= --write-out=
    --upload-file=< --cookie=< --proxy= --noproxy= --resolve= --connect-to= --no-progress-meter
    --progress-bar --cacert=< --cert=< --key=< --oauth2-bearer= --url-query= --globoff --path-as-is
    --no-buffer
nc,ncat,netcat,socat,telnet,ftp,lftp,tftp,ssh,slogin,scp,sftp,sshpass,mosh,wget,aria2c,axel,rclone,
    restic,borg,s3cmd,aws,gcloud,gsutil,az,doctl,heroku,fly,flyctl,vercel,netlify,wrangler,gh,glab,hub,
    http,https,httpie,xh,lynx,w3m,links,elinks,ab,wrk,hey,siege,k6,nmap,masscan,tcpdump,mail,mailx,mutt,
    sendmail,msmtp,psql,mysql,mariadb,mysqldump,mongo,mongosh,redis-cli,sqlcmd,cqlsh,clickhouse-client,
    ldapsearch,smbclient,rsync,kubectl,oc,k9s,helm,websocat,grpcurl,yt-dlp,youtube-dl,openssl,finger,
    nsupdate,snmpwalk,sentry-cli,stripe,twilio,op,bw,vault,ssh-copy-id,ssh-keyscan,ssh-add,cloudflared,
    ngrok,tailscale,speedtest code sends
docker,podman,nerdctl,docker-compose,podman-compose,skaffold,tilt,terraform,tofu,terragrunt,pulumi,cdk,
    sam,serverless,ansible,ansible-playbook,ansible-galaxy,vagrant,packer,svn,hg,bzr,fossil,darcs,jj code
    sends obeys
"""
"""Programs that use the network; in most of them options run or write something."""

BUILDERS = """
make,gmake,bmake,ninja,meson,cmake,ctest,cpack,scons,waf,bazel,bazelisk,buck,buck2,pants,rake,ant,just,
    task,invoke,fab,doit,redo,earthly,configure,autoconf,automake,autoreconf,pre-commit,husky,
    lint-staged,lefthook,overmind,foreman,honcho,pytest,py.test,tox,nox,nose2,coverage,mypy,dmypy,
    pyright,basedpyright,pylint,flake8,ruff,black,isort,autopep8,yapf,bandit,pyupgrade,pydocstyle,
    vulture,sphinx-build,mkdocs,hatch,flit,build,twine,setup.py,django-admin,flask,uvicorn,gunicorn,
    celery,alembic,jupyter,eslint,eslint_d,prettier,biome,stylelint,jest,vitest,mocha,ava,karma,cypress,
    playwright,tsc,tsx,ts-node,swc,babel,webpack,rollup,vite,esbuild,parcel,turbo,nx,lerna,next,nuxt,
    astro,ng,vue-cli-service,react-scripts,gulp,grunt,storybook,nodemon,concurrently,gofmt,goimports,
    golangci-lint,staticcheck,rustc,rustfmt,rustdoc,clippy-driver,cargo-clippy,rust-analyzer,gcc,g++,cc,
    c++,clang,clang++,clang-format,clang-tidy,ccache,distcc,javac,kotlinc,scalac,swiftc,swiftlint,
    swiftformat,ktlint,ghc,ocaml,dune,elm,rubocop,rspec,standardrb,phpunit,phpstan,psalm,php-cs-fixer,
    shellcheck,shfmt,hadolint,yamllint,markdownlint,vale,actionlint,tflint,checkov,semgrep,trivy,
    gitleaks,pdflatex,latex,xelatex,lualatex,latexmk,tex,pdftex,luatex,xetex,bibtex,biber,typst,ack,
    ctags,cscope,tig,lazygit,gitk,git-lfs,direnv,mise,asdf,rtx,pyenv,rbenv,nodenv,jenv,volta,fnm,nvm,
    rustup,sdk,devenv,dotenv,gdb,rust-gdb,lldb,entr,nix,nix-shell,nix-build,guix,protoc,buf,sqlc,prisma,
    jekyll,hugo,pandoc,quarto code obeys
npm,npx,pnpm,pnpx,yarn,yarnpkg,corepack,bun,bunx,deno,pip,pipx,uv,uvx,poetry,pdm,pipenv,rye,pixi,conda,
    mamba,micromamba,cargo,go,mvn,mvnw,gradle,gradlew,sbt,mill,lein,clj,bundle,bundler,gem,composer,cpan,
    cpanm,dotnet,nuget,msbuild,mix,rebar3,stack,cabal,opam,nimble,zig,swift,dart,flutter,pod,fastlane,
    luarocks,vcpkg,conan code obeys sends
"""
"""Programs that run the code, or obey the configuration, of the project that they are started in."""

RUNNERS = """
ksh93,oksh,pdksh,rksh,yash,posh,bash-static,busybox-static,
    csh,tcsh,fish,pwsh,powershell,cmd,nush,xonsh,oil,osh,ysh,rc,es,ion,murex code
python,pypy,ipython,bpython,ptpython,micropython,perl,ruby,jruby,irb,pry,node,nodejs,qjs,d8,js,php,hhvm,
    lua,luajit,tclsh,wish,expect,osascript,r,rscript,R,Rscript,julia,runghc,runhaskell,ghci,guile,racket,
    sbcl,clisp,ecl,clojure,bb,scala,groovy,jshell,jrunscript,jjs,java,jdb,jar,erl,escript,elixir,iex,bc,
    dc,ed,red,ex,vi,vim,nvim,view,vimdiff,rvim,rview,gvim,emacs,emacsclient,nano,pico,rnano,joe,jed,
    micro,helix,hx,kak,code,codium,cursor,subl,m4,gm4,cpp,ld.so,gimp,inkscape,blender,convert,magick,
    ffmpeg,gs,ghostscript,gnuplot,octave,matlab,maxima,gap,sage,yq,dasel,xq,xmllint,xsltproc,xmlstarlet,
    miller,mlr,csvkit,sqlite3,sqlite,duckdb,rqlite,yacc,bison,flex,nasm,yasm,as,ld,gold,objcopy,objdump,
    strip,ar,ranlib,patch,rename,prename,file-rename code
.,source,trap,alias,unalias,hash,enable,bind,complete,compgen,compopt,mapfile,readarray,let,fc,history,
    set,shopt,autoload,zmodload,emulate,sched,zle,zcompile,zparseopts,bindkey,vared,setopt,unsetopt,
    disable,functions,zstyle,print,compdef,getopts,wait,caller,dirs,limit,unlimit,where,whence,rehash,
    ttyctl,zftp,ztcp,zsocket,zpty code
parallel,script,scriptreplay,flock,strace,ltrace,ptrace,perf,valgrind,chroot,unshare,nsenter,setns,su,
    runuser,pkexec,gosu,su-exec,run0,systemd-run,start-stop-daemon,daemonize,at,batch,crontab,cron,
    anacron,screen,tmux,dtach,abduco,zellij,fswatch,watchexec,inotifywait,incrond,lxc,lxc-execute,incus,
    machinectl,firejail,bwrap,proot,fakeroot,fakechroot,sg,newgrp,setpriv,capsh,prlimit,chrt,taskset,
    numactl,setarch,linux32,linux64,i386,x86_64,uname26,rlwrap,rlfe,
    gzip,gunzip,bzip2,bunzip2,xz,unxz,zstd,unzstd,compress,uncompress,tar,gtar,bsdtar,cpio,zip,unzip,7z,
    7za,7zr,rar,unrar,pax,zipnote,zgrep,zegrep,zfgrep,zdiff,zless,zmore,less,more,most,pg,man,info,pinfo,
    run-parts,dpkg,dpkg-reconfigure,rpm,rpmquery,rpmbuild,apt,apt-get,aptitude,apk,pacman,yum,dnf,zypper,
    emerge,snap,flatpak,brew,port,logrotate,split,csplit,install,launchctl,open,xdg-open,dbus-send,gdbus,
    dbus-run-session,gio,torify,torsocks,proxychains,proxychains4,tsocks,genv,gnohup,gnice,gstdbuf,
    gxargs,ip,systemctl,journalctl,systemd-inhibit,systemd-cat,systemd-resolve,resolvectl,service,
    rc-service,initctl,ssh-agent,ssh-keygen,xvfb-run,xterm,uxterm,urxvt,konsole,gnome-terminal,alacritty,
    kitty,chpst,softlimit,setuidgid,envdir,envuidgid,choom,cgexec,chronic,ifne,pee,sem,ts,vidir,vipe,
    hyperfine,tini,dumb-init,catatonit,s6-setuidgid,eatmydata,faketime,srun,sbatch,mpirun,mpiexec,
    singularity,apptainer,distrobox,toolbox,diff3,sdiff,vipw,vigr,sudoedit,aa-exec,runcon,cpulimit,
    setlock,with-contenv,pv,dialog,whiptail,zenity,fzf,sk,watchman,tasksh,scanmem,gcore,cobc,
    check_by_ssh,wish8,gtester,ldd,ldconfig,nmcli,efax,dmsetup,multitime,ginsh,crash,dstat,eb,genie,
    hping3,sysdig,systemd-ask-password,tic,tshark,wireshark,tdbtool,varnishncsa,volatility,xdotool,
    zathura,xpad,mkinitrd,puppet,chef,facter,knife,salt,consul,nomad,msfconsole,nginx,httpd,apache2,
    php-fpm,supervisord,pm2,forever,gpg,gpg2,pinentry,age,sops,msgfilter,msgattrib,xgettext,pass,tput,
    openvpn,wg,wg-quick,mkisofs,genisoimage,growisofs,dosbox,qemu-system-x86_64,ghostty,tmate,byobu code
"""
"""Programs that run others, or have a language of their own, in ways that are not looked through."""

WRAPPERS = """
env,nohup,nice,ionice,timeout,gtimeout,time,stdbuf,setsid,exec,command,builtin,noglob,nocorrect,busybox,
    toybox,unbuffer,caffeinate,xargs,watch,eval inner
sudo,doas changes inner
sh,bash,dash,ash,zsh,ksh,mksh,rbash,rzsh,lksh inner
git inner
"""
"""Programs that run others and are looked through: `wrappers.py` and
`git.py` read their arguments."""


@cache
def programs() -> dict[str, Usage]:
    """Each program by its name, in the case in which it is written."""
    found: dict[str, Usage] = {}
    for text in (READERS, WRITERS, SENDERS, BUILDERS, RUNNERS, WRAPPERS):
        for line in lines(text):
            names, program = parse(line)
            found.update(dict.fromkeys(names, program))
    return found


def known(name: str) -> Usage | None:
    """The program `name`; one that counts as code in each of its versions, so `python3.11` is python."""
    program = programs().get(name)
    if program is None:
        program = programs().get(name.rstrip("0123456789.-"))
        program = program if program and "code" in program.traits else None
    return program

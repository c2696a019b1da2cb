# For every interactive shell of the sandbox. Your own settings go into ~/.bashrc, which is read after this.
[ -z "$PS1" ] && return

shopt -s checkwinsize histappend globstar
HISTCONTROL=ignoreboth
HISTSIZE=10000
HISTFILESIZE=20000
# Each command is kept at once: a sandbox may be suspended or ended while the shell is open.
PROMPT_COMMAND='history -a'

# user@workspace:~$ with the last command's exit code before it when that failed.
__vivarium_status() { local code=$?; [ "$code" -eq 0 ] || printf '%s ' "$code"; }
PS1='\[\e[31m\]$(__vivarium_status)\[\e[0m\]\[\e[32m\]\u@\h\[\e[0m\]:\[\e[34m\]\w\[\e[0m\]\$ '
PROMPT_DIRTRIM=3

alias ls='ls --color=auto'
alias ll='ls -lh'
alias la='ls -lAh'
alias grep='grep --color=auto'
alias diff='diff --color=auto'

if ! shopt -oq posix && [ -r /usr/share/bash-completion/bash_completion ]; then
	. /usr/share/bash-completion/bash_completion
fi

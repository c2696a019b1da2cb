# For every login shell of the sandbox.
export PATH="$HOME/.local/bin:/usr/local/bin:/usr/bin:/bin"
export EDITOR="${EDITOR:-nano}" PAGER="${PAGER:-less}" LESS="${LESS:--R}"

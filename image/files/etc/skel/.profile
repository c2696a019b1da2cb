# Your settings for login shells. Kept with the workspace.
[ -n "$BASH_VERSION" ] && [ -r ~/.bashrc ] && . ~/.bashrc

#!/bin/sh
# Turns a Debian tree with the packages of packages.txt into the sandbox image: the user, the folders, the shell's look, and
# nothing that could raise privileges. Runs inside the tree as root, for the root file system and the Dockerfile alike.
set -eu

overlay=${1:?usage: setup.sh FOLDER-WITH-FILES}

groupadd --gid 1000 user
useradd --uid 1000 --gid 1000 --home-dir /home/user --no-create-home --shell /bin/bash user

cp -R "$overlay"/. /
chmod -R u=rwX,go=rX /etc/profile.d /etc/skel /etc/bash.bashrc /etc/pip.conf /etc/gitconfig

# The home of a new workspace is a copy of this folder.
cp -R /etc/skel /home/user
mkdir -p /home/user/.local/bin /home/user/.cache /workspace
chown -R 1000:1000 /home/user /workspace
chmod 0755 /home/user /workspace

# The mount point of the agent.
touch /usr/local/bin/vivarium-agent
chmod 0755 /usr/local/bin/vivarium-agent

# pip goes to ~/.local by itself because the system's folder is not writable; Debian's marker would refuse even that.
rm -f /usr/lib/python3*/EXTERNALLY-MANAGED

# The first plot of a new workspace need not search the system for fonts, and no import compiles what nobody can store.
setpriv --reuid 1000 --regid 1000 --clear-groups env -i HOME=/home/user PATH=/usr/bin:/bin MPLBACKEND=Agg \
	python3 -c 'import matplotlib.pyplot'
python3 -m compileall -q -j 0 /usr/lib/python3 /usr/lib/python3.11 || true # templates in there that are not Python may fail

# Nothing in the sandbox may raise privileges.
find / -xdev -perm /6000 -exec chmod ug-s {} +

: >/etc/machine-id
: >/etc/resolv.conf # names are resolved outside, by the proxy
rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin /var/cache/apt/archives/*.deb /var/log/* /root/.cache /tmp/* /var/tmp/*
rm -f /etc/apt/apt.conf.d/99mmdebstrap /etc/apt/sources.list /etc/apt/sources.list.d/*
mkdir -p /tmp /var/tmp
chmod 1777 /tmp /var/tmp
# gVisor puts a file system in memory over an empty /tmp; this one is on the sandbox's disk and counts against its limit.
touch /tmp/.on-disk

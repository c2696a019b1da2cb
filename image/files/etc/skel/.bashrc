# Your settings for interactive shells. Kept with the workspace.

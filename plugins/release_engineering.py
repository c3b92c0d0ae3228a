"""What release engineers watch."""

from statscache_plugins.cloud_images import CloudImages
from statscache_plugins.composes import Composes
from statscache_plugins.dashboard import ReleaseDashboard
from statscache_plugins.images import ImageTasks
from statscache_plugins.updates import UpdatePushes

PLUGINS = (ReleaseDashboard, Composes, UpdatePushes, ImageTasks, CloudImages)

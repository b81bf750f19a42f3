"""What can be chosen for a stand-in, with its defaults: the numbers of a real cluster."""

from dataclasses import dataclass, field


@dataclass
class Settings:
    namespace: str = "default"
    node_name: str = "standin-node"
    node_labels: dict = field(default_factory=dict)
    node_cpu: str = "1000"
    node_memory: str = "10Ti"
    helper_bin: str = ""
    helper_image: list = field(default_factory=lambda: ["*dataops-runner*"])
    hide: list = field(default_factory=list)
    hosts: dict = field(default_factory=dict)
    zone_minutes: int = 0
    overlay: bool = True
    # times, in seconds
    schedule_seconds: float = 0.005
    mount_seconds: float = 0.1
    relist_seconds: float = 1.0
    teardown_seconds: float = 0.5
    bookmark_seconds: float = 60.0
    rotate_check_seconds: float = 10.0
    collect_seconds: float = 0.3
    usage_check_seconds: float = 10.0
    refresh_seconds: tuple = (0.04, 0.2)  # a patch until the pod's files follow it
    # sizes
    watch_buffer_events: int = 1000
    pids_limit: int = 0
    log_bytes: int = 10 * 1024 * 1024
    followers_most: int = 0  # logs that may be followed at once, as fs.inotify.max_user_instances limits them; 0: all
    # set by the control endpoint
    cordoned: bool = False
    refuse_pods: dict | None = None

# Starts one of the two programs of a Redis pod: `start.sh redis` or `start.sh sentinel`.
#
# No pod starts as the primary because of the number in its name: Redis starts in the role that the
# majority of the sentinels says. So a pod that returns never becomes a second primary, and one that
# returns with an empty volume never becomes the primary of full replicas, nor can it be promoted
# later, before it has copied everything.
#
#   SELF, PEERS     this pod's host name, and those of all three; on a new installation the first
#                   one becomes the primary
#   REDISCLI_AUTH   the password of Redis and of the sentinels; redis-cli reads it from here too
#
# The current folder is the pod's volume. The sentinel keeps sentinel.conf there: which primary it
# knows, and which one it has voted for.
set -eu
umask 077
trap 'exit 143' TERM
password='"'$(printf %s "$REDISCLI_AUTH" | sed 's/[\\"]/\\&/g')'"'

# What each sentinel knows: epoch, replicas that could take over now, replicas, the primary's host.
# One that takes over, or is about to, has followed the primary (an offset above 1) and is up.
answers() {
  for peer in $PEERS; do
    for what in replicas master; do
      timeout 2 redis-cli -h "$peer" -p 26379 sentinel $what mymaster 2>/dev/null || true
    done | awk '
      { value[key] = $0 }
      key == "slave-repl-offset" && $0 > 1 && value["flags"] !~ /down|disconnected/ { able++ }
      { key = $0 }
      END {
        if ("config-epoch" in value)
          print value["config-epoch"], able + 0, value["num-slaves"], value["ip"]
      }' &
  done | sort -n
}

case $1 in
sentinel)
  if [ -s sentinel.conf ]; then
    known=$(grep -E '^sentinel (monitor|(config|leader|current)-epoch|known-)' sentinel.conf)
  else
    primary=$(answers | tail -n 1 | cut -d ' ' -f 4)
    known="sentinel monitor mymaster ${primary:-${PEERS%% *}} 6379 2"
  fi
  cat >sentinel.new <<END
port 26379
requirepass $password
sentinel sentinel-pass $password
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel announce-ip $SELF
sentinel announce-port 26379
# The same after a volume is lost: an additional sentinel would raise the majority.
sentinel myid $(printf %s "$SELF" | sha1sum | cut -c 1-40)
$known
sentinel auth-pass mymaster $password
# How long the primary may be silent, and how long before a failed failover is retried.
sentinel down-after-milliseconds mymaster 5000
sentinel failover-timeout mymaster 10000
sentinel parallel-syncs mymaster 1
END
  mv sentinel.new sentinel.conf
  exec redis-server sentinel.conf --sentinel
  ;;
redis)
  said='' waited=0
  # Written by the first primary when it starts, and by a replica once it has everything.
  full=appendonlydir/appendonly.aof.manifest
  while :; do
    known=$(answers)
    # shellcheck disable=SC2046
    set -- $(printf '%s\n' "$known" | tail -n 1)
    if [ "$(printf '%s\n' "$known" | grep -c .)" -lt 2 ]; then
      why='fewer than two sentinels answer'
    elif [ "$4" != "$SELF" ]; then
      role="replicaof $4 6379"
      break
    elif [ "$2" -gt 0 ] && [ "$waited" -lt 60 ]; then
      waited=$((waited + 1))
      why='a replica can take over, which lost nothing; this pod may have'
    elif [ "$3" -gt 0 ] && [ ! -e "$full" ]; then
      why='this volume is empty, and replicas are known'
    else
      role='# the primary'
      break
    fi
    [ "$why" = "$said" ] || echo "waiting: $why"
    said=$why
    sleep 1
  done
  echo "starting as ${role#\# }"
  keep=yes priority=100
  if [ ! -e "$full" ] && [ "$role" != '# the primary' ]; then
    # If it were the only one up, the sentinels would promote it, and the others would replace their
    # data with its empty set. Priority 0 means never; this ends when it has everything.
    keep=no priority=0
    until redis-cli info replication | grep -Eq '^(role:master|master_link_status:up)' &&
      redis-cli config set appendonly yes replica-priority 100 | grep -q OK; do
      sleep 1
      kill -0 $$ || exit
    done 2>/dev/null &
  fi
  # Settings are passed on standard input, so that no process list shows the password.
  exec redis-server - <<END
$role
replica-announce-ip $SELF
replica-priority $priority
requirepass $password
masterauth $password
save ""
# Acknowledged means: written, and on the disk within a second. What must survive the loss of a whole
# node is in a replica's memory by then: WQLIB_REPLICAS=1.
appendonly $keep
appendfsync everysec
# A primary that is cut off from its replicas accepts no writes: the others have a new one by then.
min-replicas-to-write 1
min-replicas-max-lag 10
# What a replica missed during a short absence, so that it need not copy everything.
repl-backlog-size 64mb
repl-diskless-sync-delay 1
# Full means: no new items. Never let Redis evict a queue's keys.
maxmemory 512mb
maxmemory-policy noeviction
END
  ;;
esac

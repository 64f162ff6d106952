#!/bin/sh
# stands in for ssh: agent.sh HOST COMMAND... runs the command in the network namespace of the second host
shift
exec ip netns exec "$SHAKE_SECOND_HOST" unshare --uts sh -c 'hostname "$SHAKE_SECOND_HOST"; exec sh -c "$*"' sh "$@"

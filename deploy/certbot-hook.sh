#!/bin/sh
# For certbot, as /etc/letsencrypt/renewal-hooks/deploy/sluice: copies what was renewed to where Sluice may read it.
#
# Sluice sees within seconds that the files are others and takes them without a restart; until both have come it keeps the
# old ones. certbot says in RENEWED_LINEAGE which certificate it was; with several give each a folder of its own.
set -eu
target=${SLUICE_TLS:-/etc/sluice/tls}
group=${SLUICE_TLS_GROUP:-sluice-tls}
for file in privkey.pem fullchain.pem; do
  # Renamed into place: nobody ever reads half of it.
  install -m 0640 -g "$group" "$RENEWED_LINEAGE/$file" "$target/.$file"
  mv "$target/.$file" "$target/$file"
done

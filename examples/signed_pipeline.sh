#!/bin/sh
# A module from Kaggle to a server of your own: saved, checked, signed, published, and loaded where nothing else is accepted.
# usage: signed_pipeline.sh KEY TREE SERVER CONFIG    TREE is what SERVER serves; CONFIG is like signed_pipeline.yaml
set -eu
key=$1 tree=$2 server=$3 config=$4 name=nnlm/tensorFlow1/en-dim50/1

hubplug mirror "kaggle://google/$name" mirror
hubplug validate "mirror/$name.tar.gz" --profile complete --profile safe
hubplug publish "mirror/$name.tar.gz" "$tree/$name" --sign "$key" --served-as "$server/$name"
hubplug bom "$server/$name" --license Apache-2.0 -o module.cdx.json
HUBPLUG_CONFIG=$config hubplug show "$server/$name"

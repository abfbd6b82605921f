#!/bin/sh
# Makes the clips next to this script as raw H.264 Annex B: front and yard, 20 s of
# a moving test picture each, with the camera's name and a running frame number; and
# attic, 4 s of a smaller picture with B frames.
#
# Needs ffmpeg with libx264 and drawtext. The bytes depend on its version, so
# running it again changes the files even if nobody edits this script.
set -eu
cd "$(dirname "$0")"

# clip NAME BARS COLOR: COLOR is the square that moves over the BARS source.
# Every second is a closed group of 25 pictures that starts with AUD, SPS, PPS
# and an IDR slice; the encoder's own SEI (type 6) is removed.
clip() {
	ffmpeg -v error -y \
		-f lavfi -i "$2=size=640x360:rate=25:duration=20" \
		-f lavfi -i "color=c=$3:size=48x48:rate=25:duration=20" \
		-filter_complex "[0][1]overlay=x='mod(n*6\,592)':y=156:shortest=1,drawtext=font=monospace:text='$1 %{eif\:n\:d\:4}':x=24:y=24:fontsize=44:fontcolor=white:box=1:boxcolor=black:boxborderw=8" \
		-c:v libx264 -profile:v baseline -preset veryslow -crf 28 \
		-g 25 -keyint_min 25 -sc_threshold 0 \
		-x264-params "aud=1:repeat-headers=1" -threads 1 -pix_fmt yuv420p \
		-bsf:v "filter_units=remove_types=6" -f h264 "$1.h264"
}

clip front smptebars white
clip yard smptehdbars black

# Every second of attic is a closed group I P B B P B B ... of 25 pictures.
ffmpeg -v error -y -f lavfi -i "testsrc2=size=320x180:rate=25:duration=4" \
	-c:v libx264 -profile:v main -preset veryslow -crf 34 \
	-g 25 -keyint_min 25 -sc_threshold 0 -bf 2 -b_strategy 0 \
	-x264-params "aud=1:repeat-headers=1:b-pyramid=none:open-gop=0" -threads 1 -pix_fmt yuv420p \
	-bsf:v "filter_units=remove_types=6" -f h264 attic.h264

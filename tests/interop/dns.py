#!/usr/bin/env python3
"""A name server for the tests: answers from lines of a file, "NAME TYPE VALUE..." (A, AAAA, SRV: priority weight port target; NAPTR: order
preference flags service replacement). What it has not got does not exist. A type DROP is never answered. Usage: dns.py ADDR PORT FILE LOG"""
import socket
import struct
import sys

TYPES = {"A": 1, "AAAA": 28, "SRV": 33, "NAPTR": 35}


def name_bytes(name):
    out = b""
    for label in name.rstrip(".").split("."):
        out += bytes([len(label)]) + label.encode() if label else b""
    return out + b"\0"


def text_bytes(text):
    return bytes([len(text)]) + text.encode()


def rdata(kind, words):
    if kind == "A":
        return socket.inet_aton(words[0])
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, words[0])
    if kind == "SRV":
        return struct.pack("!HHH", *map(int, words[:3])) + name_bytes(words[3])
    return struct.pack("!HH", *map(int, words[:2])) + text_bytes(words[2]) + text_bytes(words[3]) + b"\0" + name_bytes(words[4])


def question(packet):
    labels, at = [], 12
    while packet[at]:
        labels.append(packet[at + 1:at + 1 + packet[at]].decode())
        at += 1 + packet[at]
    return ".".join(labels).lower(), struct.unpack("!H", packet[at + 1:at + 3])[0], at + 5


def main():
    addr, port, zone, log = sys.argv[1:5]
    rows = [line.split() for line in open(zone) if line.strip()]
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((addr, int(port)))
    out = open(log, "a")
    print("ready", flush=True)
    while True:
        packet, peer = sock.recvfrom(2048)
        name, qtype, end = question(packet)
        print(name, qtype, file=out, flush=True)
        if any(r[0] == name and r[1] == "DROP" for r in rows):
            continue
        found = [r for r in rows if r[0] == name and TYPES.get(r[1]) == qtype]
        exists = any(r[0] == name or r[0].endswith("." + name) for r in rows)
        head = packet[:2] + struct.pack("!HHHHH", 0x8580 | (0 if exists else 3), 1, len(found), 0, 0)
        answer = b""
        for r in found:
            data = rdata(r[1], r[2:])
            answer += b"\xc0\x0c" + struct.pack("!HHIH", qtype, 1, 60, len(data)) + data
        sock.sendto(head + packet[12:end] + answer, peer)


main()

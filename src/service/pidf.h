#pragma once
/* Presence documents that phones publish, made fit to stand beside each other in one. [RFC3863]
 * [RFC4480] */

#include "base/buf.h"

/* Appends the elements of a document's <presence>, as they are, each with the namespaces that it
 * needs; ids get a prefix that tells publication `slot` from others (0: none). ERR_SYNTAX: not
 * well-formed, no PIDF, or with a document type. ERR_NOMEM. */
enum err pidf_elements_put(struct str doc, unsigned slot, struct buf *out);
/* Appends s as text or attribute value. */
void xml_put(struct buf *b, struct str s);

/* Trust in the certificates that the system trusts, which nobody has named. Debian's are a file of
 * 140, and reading them was two thirds of what a start of the exchange cost; so they are read when
 * one is first asked for, or before by who has the time (tls_ctx.c's worker).
 *
 * A context's store has three ways to a certificate: those in it; the system's folder, which has a
 * file for each name, where it is hashed; and ours, which reads the system's file into the store.
 * All three are there from the start, since nobody may add one while another shard looks.
 *
 * is_read is guarded by the store's own lock. It is not held while the file is read, which takes it
 * for each certificate; so two who ask at once both read, which is harmless: a store keeps one of
 * equal certificates.
 */
#include "net/tls_priv.h"

#include <stdlib.h>

struct trust {
	X509_LOOKUP *file;
	bool is_read;
};

void tls_trust_read(X509_LOOKUP *l)
{
	X509_STORE *store = X509_LOOKUP_get_store(l);
	struct trust *t = X509_LOOKUP_get_method_data(l);
	X509_STORE_lock(store);
	bool is_read = t->is_read;
	X509_STORE_unlock(store);
	if (is_read)
		return;
	ERR_set_mark(); /* a system that has no such file trusts its folder */
	X509_LOOKUP_load_file(t->file, NULL, X509_FILETYPE_DEFAULT);
	ERR_pop_to_mark();
	X509_STORE_lock(store);
	t->is_read = true;
	X509_STORE_unlock(store);
}

/* Asked when neither the store nor the folder has it. The store's lock is not held. */
static int by_subject(X509_LOOKUP *l, X509_LOOKUP_TYPE type, const X509_NAME *name,
		      X509_OBJECT *ret)
{
	X509_STORE *store = X509_LOOKUP_get_store(l);
	if (type != X509_LU_X509)
		return 0;
	tls_trust_read(l);
	X509_STORE_lock(store);
	X509_OBJECT *found =
		X509_OBJECT_retrieve_by_subject(X509_STORE_get0_objects(store), type, name);
	X509 *cert = found ? X509_OBJECT_get0_X509(found) : NULL;
	int r = cert && X509_OBJECT_set1_X509(ret, cert);
	if (r)
		X509_free(cert); /* the caller counts its reference itself */
	X509_STORE_unlock(store);
	return r;
}

static int on_new(X509_LOOKUP *l)
{
	struct trust *t = calloc(1, sizeof(*t));
	return t && X509_LOOKUP_set_method_data(l, t);
}

static void on_free(X509_LOOKUP *l)
{
	free(X509_LOOKUP_get_method_data(l));
}

X509_LOOKUP_METHOD *tls_trust_new(void)
{
	X509_LOOKUP_METHOD *m = X509_LOOKUP_meth_new("rung trust");
	if (m && X509_LOOKUP_meth_set_new_item(m, on_new) &&
	    X509_LOOKUP_meth_set_free(m, on_free) &&
	    X509_LOOKUP_meth_set_get_by_subject(m, by_subject))
		return m;
	X509_LOOKUP_meth_free(m);
	return NULL;
}

X509_LOOKUP *tls_trust_system(X509_LOOKUP_METHOD *m, SSL_CTX *c)
{
	X509_STORE *store = SSL_CTX_get_cert_store(c);
	X509_LOOKUP *folder = X509_STORE_add_lookup(store, X509_LOOKUP_hash_dir());
	X509_LOOKUP *ours = X509_STORE_add_lookup(store, m);
	X509_LOOKUP *file = X509_STORE_add_lookup(store, X509_LOOKUP_file());
	if (!folder || !ours || !file)
		return NULL;
	((struct trust *)X509_LOOKUP_get_method_data(ours))->file = file;
	ERR_set_mark();
	X509_LOOKUP_add_dir(folder, NULL, X509_FILETYPE_DEFAULT);
	ERR_pop_to_mark();
	return ours;
}

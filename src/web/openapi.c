/* The API's description of itself, OpenAPI 3.0, out of the same table that the API works by: a kind
 * of admin/objects.def is a schema and its paths. */
#include "web/web_priv.h"

static void put_schema(struct buf *b, enum adm_kind k)
{
	static const char *const types[] = {
		[ADM_TEXT] = "\"type\":\"string\"",
		[ADM_COUNT] = "\"type\":\"integer\",\"format\":\"int64\"",
		[ADM_TIME] = "\"type\":\"string\",\"format\":\"date-time\"",
		[ADM_SPAN] = "\"type\":\"number\"",
		[ADM_FLAG] = "\"type\":\"boolean\""};
	size_t n;
	const struct adm_field *f = adm_fields(k, &n);
	buf_json(b, str_c(adm_object(k)->many));
	buf_str(b, STR(":{\"type\":\"object\",\"description\":"));
	buf_json(b, str_c(adm_object(k)->doc));
	buf_str(b, STR(",\"properties\":{"));
	for (size_t i = 0; i < n; i++) {
		buf_fmt(b, "%s\"%s\":{%s,\"description\":", i ? "," : "", f[i].name,
			types[f[i].type]);
		buf_json(b, str_c(f[i].doc));
		buf_chr(b, '}');
	}
	buf_str(b, STR("}}"));
}

static void put_operation(struct buf *b, const char *method, const char *id, const char *kind,
			  const char *rest)
{
	buf_fmt(b,
		"\"%s\":{\"operationId\":\"%s_%s\",\"tags\":[\"%s\"],%s,\"default\":{\"$ref\":"
		"\"#/components/responses/problem\"}}}",
		method, id, kind, kind, rest);
}

static const char done[] = "\"responses\":{\"204\":{\"description\":\"done\"}";

static const char ban_wish[] =
	"\"requestBody\":{\"required\":true,\"content\":{\"application/"
	"json\":{\"schema\":{\"type\":"
	"\"object\",\"required\":[\"address\"],\"properties\":{\"address\":{\"type\":\"string\","
	"\"description\":\"address or network\"},\"seconds\":{\"type\":\"integer\",\"minimum\":0,"
	"\"description\":\"how long; 0, or missing: for ever\"},\"reason\":{\"type\":\"string\","
	"\"description\":\"what the list says of "
	"it\"}}}}}},\"responses\":{\"201\":{\"description\":"
	"\"it is banned\",\"content\":{\"application/json\":{\"schema\":{\"$ref\":"
	"\"#/components/schemas/bans\"}}}}";

static void put_wish(struct buf *b, unsigned status)
{
	buf_fmt(b,
		"\"requestBody\":{\"required\":true,\"content\":{\"application/"
		"json\":{\"schema\":{\"type\":"
		"\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"description\":\"when "
		"it is "
		"made\"},\"password\":{\"type\":\"string\",\"description\":\"made and told when "
		"missing\"},\"enabled\":{\"type\":\"boolean\"}}}}}},\"responses\":{\"%u\":{"
		"\"description\":"
		"\"the account, with its password if that was made\"}",
		status);
}

static void put_list_path(struct buf *b, enum adm_kind k)
{
	const char *many = adm_object(k)->many;
	struct buf rest;
	buf_init(&rest);
	buf_fmt(&rest,
		"\"parameters\":[{\"$ref\":\"#/components/parameters/skip\"},{\"$ref\":"
		"\"#/components/parameters/limit\"},{\"$ref\":\"#/components/parameters/filter\"}"
		"%s],\"responses\":{\"200\":{\"description\":\"a page\",\"content\":{"
		"\"application/json\":{\"schema\":{\"type\":\"object\",\"properties\":{\"items\":{"
		"\"type\":\"array\",\"items\":{\"$ref\":\"#/components/schemas/%s\"}},\"next\":{"
		"\"type\":\"integer\",\"description\":\"skip of the next page, when there is "
		"one\"}}}}}}",
		k == ADM_cdr ? ",{\"$ref\":\"#/components/parameters/since\"},{\"$ref\":"
			       "\"#/components/parameters/until\"},{\"$ref\":"
			       "\"#/components/parameters/user\"},{\"$ref\":"
			       "\"#/components/parameters/session_id\"}"
			     : "",
		many);
	buf_fmt(b, "\"/v1/%s\":{", many);
	const char *text = buf_cstr(&rest);
	put_operation(b, "get", "list", many, text ? text : "");
	if (adm_may(k, 'C')) {
		buf_clear(&rest);
		if (k == ADM_ban)
			buf_str(&rest, str_c(ban_wish));
		else
			put_wish(&rest, 201);
		text = buf_cstr(&rest);
		buf_chr(b, ',');
		put_operation(b, "post", "create", many, text ? text : "");
	}
	buf_str(b, STR("},"));
	buf_fini(&rest);
}

static void put_item_path(struct buf *b, enum adm_kind k)
{
	const char *many = adm_object(k)->many;
	size_t n;
	const struct adm_field *f = adm_fields(k, &n);
	const struct adm_field *key = &f[adm_object(k)->key - adm_object(k)->first];
	struct buf rest;
	buf_init(&rest);
	buf_fmt(&rest,
		"\"responses\":{\"200\":{\"description\":\"it\",\"content\":{\"application/json\":"
		"{\"schema\":{\"$ref\":\"#/components/schemas/%s\"}}}}",
		many);
	buf_fmt(b,
		"\"/v1/%s/{%s}\":{\"parameters\":[{\"name\":\"%s\",\"in\":\"path\",\"required\":"
		"true,\"schema\":{\"type\":\"string\"}}],",
		many, key->name, key->name);
	const char *text = buf_cstr(&rest);
	put_operation(b, "get", "get", many, text ? text : "");
	if (adm_may(k, 'U')) {
		buf_clear(&rest);
		put_wish(&rest, 200);
		text = buf_cstr(&rest);
		buf_chr(b, ',');
		put_operation(b, "patch", "change", many, text ? text : "");
	}
	if (adm_may(k, 'D')) {
		buf_chr(b, ',');
		put_operation(b, "delete", "delete", many, done);
	}
	buf_chr(b, '}');
	buf_fini(&rest);
	if (rest.err)
		b->err = rest.err;
}

static const char parts[] =
	",\"/v1/reload\":{\"post\":{\"operationId\":\"reload\",\"parameters\":[{\"name\":"
	"\"confirm\",\"in\":\"query\",\"description\":\"seconds after which the configuration "
	"before is in force again, unless it is confirmed\",\"schema\":{\"type\":\"integer\","
	"\"maximum\":86400}}],\"responses\":{\"200\":{\"$ref\":\"#/components/responses/notes\"},"
	"\"default\":{\"$ref\":\"#/components/responses/problem\"}}}},"
	"\"/v1/reload/confirmed\":{\"post\":{\"operationId\":\"confirm\",\"responses\":{\"200\":{"
	"\"$ref\":\"#/components/responses/notes\"},\"default\":{\"$ref\":"
	"\"#/components/responses/problem\"}}}},"
	"\"/metrics\":{\"get\":{\"operationId\":\"metrics\",\"responses\":{\"200\":{"
	"\"description\":\"in the text format of Prometheus\"}}}},"
	"\"/healthz\":{\"get\":{\"operationId\":\"health\",\"security\":[],\"responses\":{\"200\":{"
	"\"description\":\"it runs\"}}}}},\"components\":{\"securitySchemes\":{\"token\":{\"type\":"
	"\"http\",\"scheme\":\"bearer\"}},\"parameters\":{"
	"\"skip\":{\"name\":\"skip\",\"in\":\"query\",\"schema\":{\"type\":\"integer\"}},"
	"\"limit\":{\"name\":\"limit\",\"in\":\"query\",\"schema\":{\"type\":\"integer\","
	"\"minimum\":1,\"maximum\":1000,\"default\":100}},"
	"\"filter\":{\"name\":\"filter\",\"in\":\"query\",\"description\":\"only rows that have it "
	"in some field\",\"schema\":{\"type\":\"string\"}},"
	"\"since\":{\"name\":\"since\",\"in\":\"query\",\"description\":\"began later: 90m, 2h, 7d "
	"ago, "
	"2026-11-27[T08:30[Z]], or seconds since 1970\",\"schema\":{\"type\":\"string\"}},"
	"\"until\":{\"name\":\"until\",\"in\":\"query\",\"description\":\"began earlier, as "
	"since\",\"schema\":{"
	"\"type\":\"string\"}},"
	"\"user\":{\"name\":\"user\",\"in\":\"query\",\"description\":\"that called or was "
	"called\",\"schema\":{\"type\":\"string\"}},"
	"\"session_id\":{\"name\":\"session_id\",\"in\":\"query\",\"description\":\"only calls "
	"that have that Session-ID, whole or half\",\"schema\":{\"type\":\"string\"}}},"
	"\"responses\":{\"notes\":{\"description\":"
	"\"configuration, certificates and accounts were read again and are in "
	"force\",\"content\":{"
	"\"application/json\":{\"schema\":{\"type\":\"object\",\"properties\":{\"notes\":{"
	"\"type\":\"array\",\"items\":{\"type\":\"string\"}}}}}}},\"problem\":{\"description\":"
	"\"what is wrong, and what helps\",\"content\":{\"application/problem+json\":{\"schema\":{"
	"\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\"},\"title\":{\"type\":"
	"\"string\"},\"status\":{\"type\":\"integer\"},\"detail\":{\"type\":\"string\"}}}}}}},"
	"\"schemas\":{";

void openapi_put(struct buf *b, const char *version)
{
	buf_fmt(b,
		"{\"openapi\":\"3.0.3\",\"info\":{\"title\":\"rung\",\"description\":"
		"\"Administration of a "
		"rung exchange\",\"version\":\"%s\"},\"security\":[{\"token\":[]}],\"paths\":{",
		version);
	for (size_t k = 0; k < ADM__N; k++) {
		if (k)
			buf_chr(b, ',');
		put_list_path(b, (enum adm_kind)k);
		put_item_path(b, (enum adm_kind)k);
	}
	buf_str(b, str_c(parts));
	for (size_t k = 0; k < ADM__N; k++) {
		if (k)
			buf_chr(b, ',');
		put_schema(b, (enum adm_kind)k);
	}
	buf_str(b, STR("}}}\n"));
}

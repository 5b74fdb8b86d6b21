// Door to OpenSSL 3. No logic: macros that Swift cannot import become inline functions here.
#pragma once
#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/params.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static inline int openssl_set_min_version(SSL_CTX *ctx, int version) {
  return (int)SSL_CTX_set_min_proto_version(ctx, version);
}

static inline void openssl_forbid_old(SSL_CTX *ctx) {
  SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
}

static inline void openssl_set_mode(SSL_CTX *ctx, long mode) { SSL_CTX_set_mode(ctx, mode); }

/// Whether a session lets go of its buffers whenever a record is done.
static inline void openssl_release_buffers(SSL *ssl, int released) {
  if (released) {
    SSL_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  } else {
    SSL_clear_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
  }
}

static inline int openssl_set_groups(SSL_CTX *ctx, const char *list) {
  return (int)SSL_CTX_set1_groups_list(ctx, list);
}

static inline void openssl_set_dh_auto(SSL_CTX *ctx) { SSL_CTX_set_dh_auto(ctx, 1); }

static inline void openssl_set_cache_mode(SSL_CTX *ctx, long mode) {
  SSL_CTX_set_session_cache_mode(ctx, mode);
}

/// To the certificate that was used last.
static inline int openssl_add_chain(SSL_CTX *ctx, X509 *certificate) {
  return (int)SSL_CTX_add1_chain_cert(ctx, certificate);
}

static inline void openssl_on_server_name(SSL_CTX *ctx, int (*callback)(SSL *, int *, void *)) {
  SSL_CTX_set_tlsext_servername_callback(ctx, callback);
}

static inline void openssl_on_status(SSL_CTX *ctx, int (*callback)(SSL *, void *)) {
  SSL_CTX_set_tlsext_status_cb(ctx, callback);
}

static inline long openssl_set_staple(SSL *ssl, unsigned char *owned, long count) {
  return SSL_set_tlsext_status_ocsp_resp(ssl, owned, count);
}

/// The client's side: asks for a staple, and what came of it.
static inline void openssl_ask_staple(SSL *ssl) {
  SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
}

static inline long openssl_staple(SSL *ssl, const unsigned char **bytes) {
  return SSL_get_tlsext_status_ocsp_resp(ssl, bytes);
}

static inline void openssl_on_ticket(
    SSL_CTX *ctx, int (*callback)(SSL *, unsigned char *, unsigned char *, EVP_CIPHER_CTX *, EVP_MAC_CTX *, int)) {
  SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, callback);
}

/// A key for HMAC with SHA-256.
static inline int openssl_set_mac_key(EVP_MAC_CTX *mac, const unsigned char *key, size_t count) {
  OSSL_PARAM params[3] = {
      OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key, count),
      OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0),
      OSSL_PARAM_construct_end()};
  return EVP_MAC_CTX_set_params(mac, params);
}

static inline int openssl_set_host_name(SSL *ssl, const char *name) {
  return (int)SSL_set_tlsext_host_name(ssl, name);
}

/// Calls for each message of the protocol, with the session's own argument.
static inline void openssl_on_message(
    SSL *ssl, void (*callback)(int, int, int, const void *, size_t, SSL *, void *), void *argument) {
  SSL_set_msg_callback(ssl, callback);
  SSL_set_msg_callback_arg(ssl, argument);
}

static inline void *openssl_allocate(size_t count) { return OPENSSL_malloc(count); }

/// The names of a certificate's extension (RFC 5280, section 4.2.1.6); NULL where it has none.
static inline GENERAL_NAMES *openssl_names(const X509 *certificate) {
  return (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
}

static inline int openssl_names_count(const GENERAL_NAMES *names) { return sk_GENERAL_NAME_num(names); }

/// A name that is a DNS name; NULL where it is another kind.
static inline const unsigned char *openssl_dns_name(const GENERAL_NAMES *names, int index, int *count) {
  const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, index);
  if (name->type != GEN_DNS) return NULL;
  *count = ASN1_STRING_length(name->d.dNSName);
  return ASN1_STRING_get0_data(name->d.dNSName);
}

/// A time of ASN.1 in seconds since 1970; 0 where it cannot be read.
static inline long long openssl_seconds(const ASN1_TIME *time) {
  int days = 0, seconds = 0;
  ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
  int known = epoch && ASN1_TIME_diff(&days, &seconds, epoch, time);
  ASN1_TIME_free(epoch);
  return known ? days * 86400LL + seconds : 0;
}

/// When a certificate ends, as `openssl_seconds`.
static inline long long openssl_not_after(const X509 *certificate) {
  return openssl_seconds(X509_get0_notAfter(certificate));
}

static inline void openssl_free_names(GENERAL_NAMES *names) { GENERAL_NAMES_free(names); }

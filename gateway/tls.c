#include "tls.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

struct tls {
    SSL_CTX *context;
};

static int
fail(struct err *err, const char *field, const char *file)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());

    err_field(err, ERR_CONFIG, field, "%s: %s: %s", field, file,
              reason ? reason : "cannot be used");
    ERR_clear_error();
    return -1;
}

struct tls *
tls_new(const char *cert_path, const char *key_path, struct err *err)
{
    struct tls *tls = xcalloc(1, sizeof(*tls));
    SSL_CTX *context = xnotnull(SSL_CTX_new(TLS_server_method()));

    tls->context = context;
    SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
    /* Clients close without close_notify all the time; HTTP has lengths of its own. */
    SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_NO_RENEGOTIATION);
    if (SSL_CTX_use_certificate_chain_file(context, cert_path) != 1)
        fail(err, "TCI_TLS_CERT", cert_path);
    else if (SSL_CTX_use_PrivateKey_file(context, key_path, SSL_FILETYPE_PEM) != 1 ||
             SSL_CTX_check_private_key(context) != 1)
        fail(err, "TCI_TLS_KEY", key_path);
    else
        return tls;
    tls_free(tls);
    return NULL;
}

void
tls_free(struct tls *tls)
{
    if (tls == NULL)
        return;
    SSL_CTX_free(tls->context);
    free(tls);
}

struct bufferevent *
tls_accept(struct tls *tls, struct event_base *base)
{
    struct bufferevent *bev =
        xnotnull(bufferevent_openssl_socket_new(base, -1, xnotnull(SSL_new(tls->context)),
                                                BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE));

    bufferevent_openssl_set_allow_dirty_shutdown(bev, 1);
    return bev;
}

static bufferevent_data_cb evhttp_on_written; /* the same of all its connections */

static void
on_written(struct bufferevent *bev, void *connection)
{
    if (evbuffer_get_length(bufferevent_get_output(bev)) == 0)
        evhttp_on_written(bev, connection);
}

void
tls_guard(struct bufferevent *bev)
{
    bufferevent_data_cb on_read, written;
    bufferevent_event_cb on_event;
    void *connection;

    bufferevent_getcb(bev, &on_read, &written, &on_event, &connection);
    if (written == NULL || written == on_written)
        return;
    evhttp_on_written = written;
    bufferevent_setcb(bev, on_read, on_written, on_event, connection);
}

/* SPDX-License-Identifier: MIT */
/*
 * Calls: from a message to a method and back, and the service interface of Varlink itself
 * (varlink.org/Service).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "clients.h"

/* ---- answers ---- */

const struct peer *call_peer(const struct call *call)
{
        static const struct peer gone = {.uid = (uid_t)-1};

        return call->connection ? &call->connection->peer : &gone;
}

void call_free(struct call *call)
{
        if (call->connection) {
                call->connection->call = NULL;
                connection_touch(call->connection);
        }
        json_decref(call->parameters);
        free(call);
}

static void call_answer(struct call *call, json_t *message, bool last)
{
        struct connection *c = call->connection;
        bool silent = call->oneway;

        if (last)
                call_free(call);
        if (!c || silent) {
                json_decref(message);
        } else if (!connection_send(c, message)) {
                return;
        }
        if (last && c)
                connection_go_on(c);
}

void call_reply_encoded(struct call *call, const char *text, size_t length)
{
        struct connection *c = call->connection;
        bool silent = call->oneway;
        char *copy = silent ? NULL : malloc(length);

        call_free(call);
        if (copy)
                memcpy(copy, text, length);
        else if (!silent) {
                connection_drop(c, "out of memory");
                return;
        }
        if (copy && !connection_send_text(c, copy, length))
                return;
        connection_go_on(c);
}

void call_reply(struct call *call, json_t *parameters, bool continues)
{
        json_t *message = json_pack("{s:o}", "parameters", parameters);

        continues = continues && call->more;
        if (continues)
                json_object_set_new(message, "continues", json_true());
        call_answer(call, message, !continues);
}

void call_error(struct call *call, const char *error, json_t *parameters)
{
        json_t *message = json_pack("{s:s, s:o}", "error", error, "parameters",
                                    parameters ? parameters : json_object());

        call_answer(call, message, true);
}

void call_invalid_parameter(struct call *call, const char *parameter)
{
        call_error(call, "org.varlink.service.InvalidParameter",
                   json_pack("{s:s}", "parameter", parameter));
}

/* ---- org.varlink.service (varlink.org/Service) ---- */

static const char service_interface[] =
        "# The Varlink Service Interface is provided by every varlink service. It\n"
        "# describes the service and the interfaces it implements.\n"
        "interface org.varlink.service\n"
        "\n"
        "# Get a list of all the interfaces a service provides and information\n"
        "# about the implementation.\n"
        "method GetInfo() -> (\n"
        "  vendor: string,\n"
        "  product: string,\n"
        "  version: string,\n"
        "  url: string,\n"
        "  interfaces: []string\n"
        ")\n"
        "\n"
        "# Get the description of an interface that is implemented by this service.\n"
        "method GetInterfaceDescription(interface: string) -> (description: string)\n"
        "\n"
        "error InterfaceNotFound (interface: string)\n"
        "error MethodNotFound (method: string)\n"
        "error MethodNotImplemented (method: string)\n"
        "error InvalidParameter (parameter: string)\n";

static void method_info(struct call *call)
{
        call_reply(call,
                   json_pack("{s:s, s:s, s:s, s:s, s:[ss]}", "vendor", "energat", "product",
                             "energatd", "version", ENERGAT_VERSION, "url", "io.energat",
                             "interfaces", "org.varlink.service", "io.energat"),
                   false);
}

/* The text is long, and whoever asks for nothing else could keep the daemon busy with encoding it.
 */
static void describe_energat(struct call *call)
{
        struct server *s = call->server;

        if (!s->description) {
                json_t *message = json_pack("{s:{s:s}}", "parameters", "description",
                                            energat_interface);

                s->description = wire_encode(message, &s->description_length);
                json_decref(message);
        }
        if (s->description)
                call_reply_encoded(call, s->description, s->description_length);
        else
                call_error(call, "io.energat.Failed",
                           json_pack("{s:s}", "reason", strerror(ENOMEM)));
}

static void method_description(struct call *call)
{
        const char *name = json_string_value(json_object_get(call->parameters, "interface"));

        if (!name)
                call_invalid_parameter(call, "interface");
        else if (strcmp(name, "io.energat") == 0)
                describe_energat(call);
        else if (strcmp(name, "org.varlink.service") == 0)
                call_reply(call, json_pack("{s:s}", "description", service_interface), false);
        else
                call_error(call, "org.varlink.service.InterfaceNotFound",
                           json_pack("{s:s}", "interface", name));
}

static const struct method service_methods[] = {
        {"GetInfo", method_info},
        {"GetInterfaceDescription", method_description},
        {NULL, NULL},
};

static const struct {
        const char *name;
        const struct method *methods;
} interfaces[] = {
        {"org.varlink.service", service_methods},
        {"io.energat", energat_methods},
};

static void call_dispatch(struct call *call, const char *full_name)
{
        const char *dot = strrchr(full_name, '.');
        size_t length = dot ? (size_t)(dot - full_name) : 0;

        for (size_t i = 0; i < sizeof(interfaces) / sizeof(interfaces[0]); i++) {
                if (strlen(interfaces[i].name) != length ||
                    memcmp(interfaces[i].name, full_name, length) != 0)
                        continue;
                for (const struct method *m = interfaces[i].methods; m->name; m++) {
                        if (strcmp(m->name, full_name + length + 1) == 0) {
                                m->run(call);
                                return;
                        }
                }
                call_error(call, "org.varlink.service.MethodNotFound",
                           json_pack("{s:s}", "method", full_name));
                return;
        }
        call_error(call, "org.varlink.service.InterfaceNotFound",
                   json_pack("{s:s#}", "interface", full_name, (int)length));
}

/* null is the same as nothing: so the library of Varlink for Go sends what a caller does not give.
 */
static bool is_flag(const json_t *value)
{
        return !value || json_is_null(value) || json_is_boolean(value);
}

/* One call from a message. */
void connection_call(struct connection *c, json_t *message)
{
        const char *method = json_string_value(json_object_get(message, "method"));
        json_t *parameters = json_object_get(message, "parameters");
        struct call *call;

        if (json_is_null(parameters))
                parameters = NULL;
        if (!method || (parameters && !json_is_object(parameters)) ||
            !is_flag(json_object_get(message, "more")) ||
            !is_flag(json_object_get(message, "oneway"))) {
                connection_drop(c, "it sends what is no Varlink call");
                return;
        }
        call = calloc(1, sizeof(*call));
        if (!call) {
                connection_drop(c, "out of memory");
                return;
        }
        call->server = c->server;
        call->connection = c;
        call->more = json_is_true(json_object_get(message, "more"));
        call->oneway = json_is_true(json_object_get(message, "oneway"));
        call->parameters = parameters ? json_incref(parameters) : json_object();
        c->call = call;
        if (c->refused) {
                c->closing = true;
                call_error(call, "io.energat.TooMany",
                           json_pack("{s:s, s:i}", "what", "connections", "limit", c->refused));
                return;
        }
        call_dispatch(call, method);
}

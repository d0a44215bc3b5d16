// Shows /openapi.json. Nothing is loaded from elsewhere: the badge of the online
// validator is off.
SwaggerUIBundle({
    url: '/openapi.json',
    dom_id: '#browser',
    deepLinking: true,
    docExpansion: 'list',
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    filter: true,
    tryItOutEnabled: true,
    validatorUrl: null,
});
